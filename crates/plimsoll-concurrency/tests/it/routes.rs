//! Routes of one limit, through real gates.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use plimsoll_concurrency::{Change, ConcurrencyLimit, Window};
use plimsoll_core::{
    Gate, GateLayer, Http, Keyed, Missing, Policy, Route, policy::Evictable, test_kit::Contract,
};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{
    MS, call, queued,
    sampler::{Fixed, STEADY, fixed},
    with_deadlines,
};

type Body = Full<bytes::Bytes>;
type Inner = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// A service that takes the milliseconds in the path, times `slower`.
fn service(slower: &Arc<AtomicU32>) -> Inner {
    let slower = Arc::clone(slower);
    BoxCloneSyncService::new(service_fn(move |req: Request<Body>| {
        let millis: u32 = req.uri().path()[1..].parse().unwrap();
        let took = millis * slower.load(Relaxed) * MS;
        async move {
            sleep(took).await;
            Ok(Response::new(Body::from("hello")))
        }
    }))
}

fn usual_speed() -> Arc<AtomicU32> {
    Arc::new(AtomicU32::new(1))
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::default()).unwrap()
}

/// Returns the status, and the time to the end of the body.
async fn ask<P>(gate: &Gate<Inner, P, Http>, path: &str) -> (StatusCode, Duration)
where
    P: Policy<Request<Body>, Permit: Send, Wait: Send> + 'static,
{
    let began = Instant::now();
    let response = gate.clone().oneshot(request(path)).await.unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    (status, began.elapsed())
}

/// Whether a time is `millis`, up to two ticks of tokio's timer.
fn is_about(time: Duration, millis: u32) -> bool {
    time >= millis * MS && time <= (millis + 2) * MS
}

#[tokio::test(start_paused = true)]
async fn routes_share_slots_and_queue() {
    let limit = ConcurrencyLimit::new(1)
        .unwrap()
        .queue(1, Duration::from_secs(1))
        .unwrap();
    let handle = limit.handle();
    let inner = service(&usual_speed());
    let [slow, fast, other] = [(); 3].map(|()| GateLayer::new(limit.route()).layer(inner.clone()));
    let look = async {
        assert_eq!((handle.in_flight(), handle.queued()), (1, 1));
    };
    // In order of arrival.
    let (first, second, third, ()) = tokio::join!(
        ask(&slow, "/100"),
        ask(&fast, "/10"),
        ask(&other, "/10"),
        look
    );
    assert_eq!(first.0, StatusCode::OK);
    assert!(is_about(first.1, 100), "{first:?}");
    assert_eq!(second.0, StatusCode::OK);
    assert!(
        is_about(second.1, 110),
        "it waited for the other: {second:?}"
    );
    assert_eq!(
        third.0,
        StatusCode::SERVICE_UNAVAILABLE,
        "the queue is full"
    );
    assert_eq!((handle.in_flight(), handle.queued()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_route_of_a_cell_shares_the_cells_slots_and_a_cell_of_a_route_has_its_own() {
    let limit = with_deadlines(ConcurrencyLimit::new(1).unwrap());
    let cell = limit.cell();
    let (route, apart) = (cell.route(), limit.route().cell());
    let running = call(&route);
    assert!(call(&cell).rejection().is_some());
    assert!(call(&limit).is_running() && call(&apart).is_running());
    running.finish();
    assert!(call(&cell).is_running());
}

#[tokio::test(start_paused = true)]
async fn settings_changed_on_one_route_apply_to_all() {
    let limit = queued(1, 1);
    let route = limit.route();
    route.handle().set_limit(2).unwrap();
    let running = (call(&limit), call(&route));
    assert_eq!(limit.handle().in_flight(), 2);
    drop(running);
    assert_eq!(limit.handle().in_flight(), 0);
}

/// Two entrances, and an algorithm that records windows. Only the first window is without load.
struct Mixed {
    algorithm: Fixed,
    gates: [Gate<Inner, ConcurrencyLimit, Http>; 2],
    slower: Arc<AtomicU32>,
}

impl Mixed {
    fn new(entrance: fn(&ConcurrencyLimit) -> ConcurrencyLimit) -> Self {
        let mut algorithm = fixed(10, |number| Change {
            at_no_load: number == 1,
            no_load_latency: None,
            ..STEADY
        });
        algorithm.size.time = Duration::from_secs(10);
        let limit = ConcurrencyLimit::with_algorithm(algorithm.clone()).unwrap();
        let slower = usual_speed();
        let inner = service(&slower);
        let gates = [(); 2].map(|()| GateLayer::new(entrance(&limit)).layer(inner.clone()));
        Self {
            algorithm,
            gates,
            slower,
        }
    }

    /// A window with this many calls of 10 milliseconds and of 100 milliseconds.
    async fn window(&self, fast: usize, slow: usize) -> Window {
        let told = self.algorithm.told();
        for number in 0..fast + slow {
            if number + 1 == fast + slow {
                // The last call ends the window.
                advance(Duration::from_secs(10)).await;
            }
            let [one, two] = &self.gates;
            if number < fast {
                ask(one, "/10").await;
            } else {
                ask(two, "/100").await;
            }
        }
        assert_eq!(self.algorithm.told(), told + 1);
        self.algorithm.last()
    }
}

#[tokio::test(start_paused = true)]
async fn the_route_latency_follows_the_mix_of_routes_and_not_the_load() {
    let mixed = Mixed::new(ConcurrencyLimit::route);
    ask(&mixed.gates[0], "/10").await; // starts the first window
    let first = mixed.window(5, 5).await;
    assert_eq!(first.route_latency, None, "no baseline yet");

    let even = mixed.window(5, 5).await;
    let baseline = even.route_latency.unwrap();
    assert!(is_about(baseline, 55), "{baseline:?}");

    mixed.slower.store(3, Relaxed);
    let loaded = mixed.window(5, 5).await;
    assert!(is_about(loaded.latency, 165), "{loaded:?}");
    assert_eq!(loaded.route_latency, even.route_latency);

    let fast = mixed.window(9, 1).await;
    let baseline = fast.route_latency.unwrap();
    assert!(is_about(baseline, 19), "{baseline:?}");
    let slow = mixed.window(0, 4).await;
    let baseline = slow.route_latency.unwrap();
    assert!(is_about(baseline, 100), "{baseline:?}");
}

#[tokio::test(start_paused = true)]
async fn without_routes_there_is_no_route_latency() {
    let mixed = Mixed::new(ConcurrencyLimit::cell);
    for gate in &mixed.gates {
        ask(gate, "/10").await;
    }
    for _ in 0..3 {
        assert_eq!(mixed.window(5, 5).await.route_latency, None);
    }
}

#[tokio::test(start_paused = true)]
async fn the_route_latency_is_known_once_most_calls_are_of_known_routes() {
    let mixed = Mixed::new(ConcurrencyLimit::route);
    ask(&mixed.gates[0], "/10").await;
    mixed.window(5, 0).await; // no baseline for the slow route
    let few = mixed.window(2, 3).await;
    assert_eq!(few.route_latency, None);
    let most = mixed.window(3, 2).await.route_latency.unwrap();
    assert!(is_about(most, 10), "{most:?}");
}

/// The path is the route.
fn by_path(limit: ConcurrencyLimit) -> Keyed<Route, ConcurrencyLimit> {
    let each = limit.per_route(Route::grpc(), Missing::Share, 512);
    each.unwrap()
}

#[tokio::test(start_paused = true)]
async fn keyed_routes_share_slots_and_a_reset_of_one_keeps_the_others_slots() {
    let limit = ConcurrencyLimit::new(2).unwrap();
    let handle = limit.handle();
    let keyed = by_path(limit);
    let cells = keyed.handle();
    let gate = GateLayer::new(keyed).layer(service(&usual_speed()));
    assert_eq!(ask(&gate, "/7").await.0, StatusCode::OK);
    let look = async {
        assert_eq!((handle.in_flight(), cells.keys()), (2, 4));
        cells.with_cell("/7", Evictable::reset).unwrap();
        assert_eq!(handle.in_flight(), 2, "they belong to other routes");
    };
    let (first, second, third, ()) = tokio::join!(
        ask(&gate, "/100"),
        ask(&gate, "/101"),
        ask(&gate, "/10"),
        look
    );
    assert_eq!(
        [first.0, second.0, third.0],
        [
            StatusCode::OK,
            StatusCode::OK,
            StatusCode::SERVICE_UNAVAILABLE
        ]
    );
    let hint = handle.retry_after();
    assert_ne!(hint, Duration::from_secs(1));
    cells.with_cell("/100", Evictable::reset).unwrap();
    assert_eq!(handle.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_shared_hint_of_routes_survives_the_reset_of_one() {
    let limit = queued(1, 1);
    let route = limit.route();
    let running = call(&route);
    advance(320 * MS).await;
    running.finish();
    let _running = call(&limit);
    let hint = limit.handle().retry_after();
    assert_eq!(hint, 320 * MS);
    route.reset();
    assert_eq!(limit.handle().retry_after(), hint);
}

/// A table of 512 keys, and one call that is in flight all the time.
#[tokio::test(start_paused = true)]
async fn keyed_routes_are_evicted_while_others_are_in_flight() {
    let limit = ConcurrencyLimit::new(2).unwrap();
    let handle = limit.handle();
    let keyed = by_path(limit);
    let cells = keyed.handle();
    let gate = GateLayer::new(keyed).layer(service(&usual_speed()));
    let others = async {
        for number in 0..2000 {
            let (status, _) = ask(&gate, &format!("/{number:04}")).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(handle.in_flight(), 1);
        }
    };
    let ((status, _), ()) = tokio::join!(ask(&gate, "/5000000"), others);
    assert_eq!(status, StatusCode::OK);
    assert!(cells.evicted() > 1000, "{}", cells.evicted());
    assert_eq!(
        cells.overflowed(),
        0,
        "no route had to share the overflow cell"
    );
    assert!(
        cells.with_cell("/5000000", |_| ()).is_some(),
        "it is in flight, so it is kept"
    );
}

#[tokio::test(start_paused = true)]
async fn a_route_keeps_the_laws() {
    let make = || {
        ConcurrencyLimit::new(3)
            .unwrap()
            .queue(8, Duration::from_secs(1))
            .unwrap()
            .route()
    };
    Contract::new(make, |limit| {
        (limit.handle().in_flight() + limit.handle().queued()) as u64
    })
    .capacity(3)
    .check_all()
    .await;
}
