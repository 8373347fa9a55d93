//! The examples and claims of `docs/choosing-limits.md`. (Its code blocks are compiled as doctests of
//! the facade; here they are run.)

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    routing::{MethodRouter, get},
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use plimsoll_concurrency::{Adaptive, Algorithm, ConcurrencyLimit, FairShare, LimitReason, Window};
use plimsoll_core::{ApiKey, ByHeader, Choose, ClientIp, Deadlines, GateLayer, Missing, Route};
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::{MS, published};

const SECOND: Duration = Duration::from_secs(1);

fn hello() -> MethodRouter {
    get(|| async { "hello" })
}

async fn ask(app: &Router, req: Request<Body>) -> Response<Body> {
    app.clone().oneshot(req).await.unwrap()
}

fn request(headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut req = Request::get("/").body(Body::empty()).unwrap();
    for (name, value) in headers {
        req.headers_mut().insert(*name, value.parse().unwrap());
    }
    req
}

#[tokio::test(start_paused = true)]
async fn the_default_needs_no_number_and_starts_at_ten() {
    let limit = ConcurrencyLimit::adaptive();
    let handle = limit.handle();
    let app = Router::new()
        .route("/", hello())
        .layer(GateLayer::new(limit));
    assert_eq!((handle.limit(), handle.reason()), (10, LimitReason::Set));
    let response = ask(&app, request(&[])).await;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "hello");
    assert_eq!(handle.in_flight(), 0);
}

/// One slot that is taken for 20 milliseconds a call, with the queue of the second example.
#[tokio::test(start_paused = true)]
async fn the_most_important_are_served_first_and_none_waits_whose_answer_would_be_late() {
    let limit = ConcurrencyLimit::adaptive()
        .priorities(ByHeader::trusted())
        .deadlines(Deadlines::propagated())
        .queue(10, SECOND)
        .unwrap();
    let handle = limit.handle();
    handle.pin(1).unwrap();
    let slow = get(|| async {
        tokio::time::sleep(20 * MS).await;
    });
    let app = Router::new().route("/", slow).layer(GateLayer::new(limit));
    let began = Instant::now();
    let call = |headers: &'static [(&str, &str)]| {
        let app = app.clone();
        let call = tokio::spawn(async move {
            let status = ask(&app, request(headers)).await.status();
            (status, began.elapsed())
        });
        async move { call.await.unwrap() }
    };
    let first = call(&[]);
    tokio::task::yield_now().await;
    let batch = call(&[("plimsoll-criticality", "SHEDDABLE")]);
    tokio::task::yield_now().await;
    let person = call(&[("plimsoll-criticality", "CRITICAL_PLUS")]);
    tokio::task::yield_now().await;
    let late = call(&[("plimsoll-timeout-ms", "10")]);
    let late = late.await;
    assert_eq!(late.0, StatusCode::GATEWAY_TIMEOUT);
    assert!(late.1 < 20 * MS, "{late:?}: it hears of it before its turn");
    assert_eq!(first.await.0, StatusCode::OK);
    let (person, batch) = (person.await, batch.await);
    assert_eq!((person.0, batch.0), (StatusCode::OK, StatusCode::OK));
    assert!(person.1 < batch.1, "{person:?} {batch:?}");
    assert_eq!((handle.past_deadline(), handle.in_flight()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_limit_per_client_shares_and_streams_fit_one_gate() {
    let four = ConcurrencyLimit::new(4).unwrap().reject_as_over_quota();
    let per_client = four.per_key(ClientIp::peer(), Missing::Share, 10_000);
    let limit = ConcurrencyLimit::adaptive();
    let handle = limit.handle();
    let share = FairShare::new(limit.handle());
    let fair = share.per_key(ApiKey::new(), Missing::Share, 10_000);
    let streams = ConcurrencyLimit::new(5_000).unwrap();
    let open = streams.handle();
    let limits = Choose::by(Route::matched(), [("/events", streams)], limit);
    let layer = GateLayer::new((per_client.unwrap(), fair.unwrap(), limits));
    let app = Router::new()
        .route("/", hello())
        .route("/events", hello())
        .layer(layer);
    let from = |host: u8, headers| {
        let mut req = request(headers);
        let addr = SocketAddr::from(([127, 0, 0, host], 5000));
        req.extensions_mut().insert(ConnectInfo(addr));
        req
    };

    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(ask(&app, from(1, &[])).await); // with its body, which is not read
    }
    assert!(held.iter().all(|held| held.status() == StatusCode::OK));
    let fifth = ask(&app, from(1, &[])).await;
    assert_eq!(fifth.status(), StatusCode::TOO_MANY_REQUESTS);
    held.push(ask(&app, from(2, &[])).await);
    assert_eq!((handle.in_flight(), open.in_flight()), (5, 0));

    // Streams have slots of their own, also while all slots for requests are in use.
    handle.pin(5).unwrap();
    let full = ask(&app, from(3, &[])).await;
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    let claims: [&'static [_]; 2] = [
        &[("upgrade", "websocket")],
        &[("accept", "text/event-stream")],
    ];
    for claim in claims {
        let answer = ask(&app, from(3, claim)).await;
        assert_eq!(
            answer.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{claim:?}"
        );
    }
    let mut events = from(3, &[]);
    *events.uri_mut() = "/events".parse().unwrap();
    let stream = ask(&app, events).await;
    assert_eq!(stream.status(), StatusCode::OK);
    assert_eq!((handle.in_flight(), open.in_flight()), (5, 1));
    drop((held, stream));
    assert_eq!((handle.in_flight(), open.in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn routes_are_entrances_to_the_same_slots() {
    let limit = ConcurrencyLimit::adaptive();
    let handle = limit.handle();
    handle.pin(1).unwrap();
    let (item, search) = (limit.route(), limit.route());
    let app = Router::new()
        .route("/item", hello().layer(GateLayer::new(item)))
        .route("/search", hello().layer(GateLayer::new(search)));
    let at = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let held = ask(&app, at("/item")).await;
    assert_eq!((held.status(), handle.in_flight()), (StatusCode::OK, 1));
    let other = ask(&app, at("/search")).await;
    assert_eq!(other.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(held);
    assert_eq!(ask(&app, at("/search")).await.status(), StatusCode::OK);
}

/// A service with a number of workers, as the windows of an algorithm show it.
pub(crate) struct Workers {
    count: f64,
    service_time: Duration,
    now: Instant,
}

impl Workers {
    pub(crate) fn new(workers: f64, service_time: Duration) -> Self {
        fastrand::seed(1); // the intervals between probes are random
        Self {
            count: workers,
            service_time,
            now: Instant::now(),
        }
    }

    /// The window that the algorithm waits for, with all slots taken.
    pub(crate) fn window(&mut self, adaptive: &Adaptive, limit: u32) -> Window {
        let inside = f64::from(limit);
        let took = self.service_time.mul_f64((inside / self.count).max(1.0));
        let done_in = self.service_time.as_secs_f64() / inside.min(self.count);
        let size = adaptive.window();
        let time = size
            .time
            .as_secs_f64()
            .max(f64::from(size.samples) * done_in);
        let began = self.now;
        self.now += Duration::from_secs_f64(time);
        let answered = (time / done_in).round() as u64;
        Window {
            began,
            ended: self.now,
            answered,
            latency: took,
            deviation: took / 10,
            without_slot: answered,
            rejected: answered,
            ..published::window(1, limit)
        }
    }

    /// A second in which all workers were busy, up to `most` calls were in flight, and none found the
    /// limit full.
    fn idle_window(&mut self, limit: u32, most: u32) -> Window {
        let began = self.now;
        self.now += SECOND;
        Window {
            began,
            ended: self.now,
            answered: (self.count / self.service_time.as_secs_f64()) as u64,
            latency: self.service_time,
            deviation: self.service_time / 10,
            limit,
            ..published::window(1, most)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_start_multiplies_by_four_and_the_swing_is_a_fifth_up_and_a_sixth_down() {
    let mut service = Workers::new(200.0, 20 * MS);
    let mut adaptive = Adaptive::new();
    let mut limits = vec![adaptive.initial()];
    for _ in 0..300 {
        let limit = *limits.last().unwrap();
        limits.push(adaptive.update(&service.window(&adaptive, limit)).limit);
    }
    assert_eq!(limits[..3], [10, 40, 160]);

    // The middle of an overload: 1.1 times the base, and twice its root.
    let middle = 1.1 * 200.0 + 2.0 * 200_f64.sqrt();
    let is_about = |limit: u32, goal: f64| (f64::from(limit) / goal - 1.0).abs() < 0.01;
    let (high, low) = (middle * 1.2, middle / 1.2);
    let lately = &limits[200..];
    for pair in [[high, high], [high, low], [low, low], [low, high]] {
        let seen = lately
            .windows(2)
            .filter(|two| is_about(two[0], pair[0]) && is_about(two[1], pair[1]));
        let count = seen.count();
        assert!(count >= 15, "{count} of {pair:?}: {limits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_worked_example_of_the_guide() {
    // 50 workers of 20 ms: the limit alternates around 50 x 1.1 x (1 + error) + 2 x sqrt(50).
    let mut service = Workers::new(50.0, 20 * MS);
    let mut adaptive = Adaptive::new();
    let mut limit = adaptive.initial();
    let mut limits = Vec::new();
    for _ in 0..300 {
        limit = adaptive.update(&service.window(&adaptive, limit)).limit;
        limits.push(f64::from(limit));
    }
    let lately = &limits[200..];
    let highest = lately.iter().copied().fold(0.0, f64::max);
    let middle = highest / 1.2;
    assert!((69.0..71.0).contains(&middle), "{middle}: {lately:?}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_limit_falls_a_fifth_of_the_way_to_where_the_base_would_have_it() {
    // By the base alone, 2.5 times it and twice its root: 14 and 7.8. But not below 1.25 times what
    // was in flight, nor the initial limit.
    for (base, most, lowest) in [(4.0, 2, 14), (2.0, 24, 30), (2.0, 2, 10)] {
        let mut service = Workers::new(base, 20 * MS);
        let mut adaptive = Adaptive::new();
        let first = service.window(&adaptive, adaptive.initial());
        let mut limit = adaptive.update(&first).limit;
        assert_eq!(limit, 40);
        for number in 0..60 {
            let next = adaptive.update(&service.idle_window(limit, most)).limit;
            let fall = limit - next;
            assert!(
                next >= lowest && f64::from(fall) <= 0.2 * f64::from(limit - lowest) + 1.0,
                "{number}: {next} after {limit}"
            );
            limit = next;
        }
        assert_eq!(limit, lowest);
    }
}

#[tokio::test(start_paused = true)]
async fn bounds_and_an_objective_hold_whatever_the_load() {
    // At most 500 at a time, and a mean latency of at most 200 ms: five times the no-load latency,
    // which 100 workers reach with 500 in flight, and 20 workers with 100.
    for (workers, most) in [(1000.0, 500), (100.0, 500), (20.0, 100)] {
        let mut service = Workers::new(workers, 40 * MS);
        let mut adaptive = Adaptive::builder()
            .limits(20, 1..=500)
            .objective(200 * MS)
            .build()
            .unwrap();
        let mut limit = adaptive.initial();
        assert_eq!(limit, 20);
        for number in 0..400 {
            let change = adaptive.update(&service.window(&adaptive, limit));
            limit = change.limit;
            assert!(limit <= 500);
            // After the start, which has to try what is too much.
            let swung = f64::from(most) * 1.21;
            assert!(
                number < 100 || f64::from(limit) <= swung,
                "{number}: {limit}"
            );
            let (_, wait) = change.queue.unwrap();
            assert!(number < 100 || wait <= 6 * 48 * MS, "{number}: {wait:?}");
        }
    }
}
