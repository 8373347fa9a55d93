//! Shadow, When, Choose, shared policies, and the plain protocol.

use std::sync::Arc;

use http_body_util::BodyExt as _;
use plimsoll_core::{
    Choose, Class, GateLayer, HeaderKey, Plain, PlainError, Policy, Route, Shadow, When,
    test_kit::{Contract, KitRequest, RejectAll, Script},
};
use tower::{Layer as _, ServiceExt as _};

use crate::sample::{Door, Slots, send};

#[tokio::test(start_paused = true)]
async fn a_shadow_counts_and_admits_every_request() {
    let shadow = Shadow::new(Slots::new(1));
    let handle = shadow.handle();
    let layer = GateLayer::new(shadow);
    let running = [
        send(&layer, Script::EndlessBody).await.unwrap(),
        send(&layer, Script::EndlessBody).await.unwrap(),
    ];
    assert!(running.iter().all(|response| response.status() == 200));
    assert_eq!((handle.would_admit(), handle.would_reject()), (1, 1));
    assert_eq!(
        layer.policy().get_ref().in_flight(),
        1,
        "a request that it would reject holds nothing"
    );
    handle.enforce(true);
    assert_eq!(send(&layer, Script::Body).await.unwrap().status(), 503);
    drop(running);
    assert_eq!(layer.policy().get_ref().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_shadow_never_queues() {
    let shadow = Shadow::new(Door::default());
    let handle = shadow.handle();
    let response = send(&GateLayer::new(shadow), Script::Body).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(handle.would_wait(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shadow_keeps_the_laws() {
    Contract::new(
        || Shadow::new(Slots::new(2)),
        |shadow| shadow.get_ref().in_flight(),
    )
    .check_all()
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_condition_exempts_requests() {
    let layer = GateLayer::new(When::new(
        |req: &http::Request<()>| req.uri().path() != "/health",
        RejectAll,
    ));
    assert_eq!(send(&layer, Script::Body).await.unwrap().status(), 503);
    let mut health = plimsoll_core::test_kit::request(Script::Body);
    *health.uri_mut() = "/health".parse().unwrap();
    let response = crate::sample::send_request(&layer, health).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn conditional_shared_and_nested_policies_keep_the_laws() {
    Contract::new(
        || When::new(|_: &http::Request<()>| true, Slots::new(2)),
        |when| when.get_ref().in_flight(),
    )
    .capacity(2)
    .check_all()
    .await;
    Contract::new(|| Arc::new(Slots::new(2)), |slots| slots.in_flight())
        .capacity(2)
        .check_all()
        .await;
    Contract::new(
        || ((Slots::new(5), ()), (Slots::new(2), Slots::new(3))),
        |((a, ()), (b, c))| a.in_flight() + b.in_flight() + c.in_flight(),
    )
    .capacity(2)
    .check_all()
    .await;
}

#[tokio::test]
async fn a_rejection_by_a_plain_gate_is_an_error() {
    let inner = tower::service_fn(|n: u32| async move {
        if n == 0 {
            Err(std::fmt::Error)
        } else {
            Ok(n + 1)
        }
    });
    let layer = GateLayer::builder(Slots::new(1))
        .protocol(Plain::new())
        .build();
    assert_eq!(layer.layer(inner).oneshot(1).await.unwrap(), 2);
    assert_eq!(layer.policy().last().class, Class::Success);
    let error = layer.layer(inner).oneshot(0).await.unwrap_err();
    assert!(matches!(error, PlainError::Inner(error) if error.is::<std::fmt::Error>()));
    assert_eq!(layer.policy().last().class, Class::Failure);

    let reject = GateLayer::builder(RejectAll).protocol(Plain::new()).build();
    let error = reject.layer(inner).oneshot(1).await.unwrap_err();
    assert_eq!(error.rejection().unwrap().policy(), "reject-all");
    assert_eq!(error.to_string(), "rejected by reject-all: full");
}

#[tokio::test]
async fn gates_and_their_futures_are_send() {
    fn send_and_sync<T: Send + Sync>(_: &T) {}
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let layer = GateLayer::new((Slots::new(1), Door::default()));
    send_and_sync(&layer);
    layer.policy().1.open();
    _ = is_send(send(&layer, Script::Body)).await;
}

/// Sends a request with this path, whose body does not end.
async fn call_path<P: Policy<KitRequest> + 'static>(
    layer: &GateLayer<P>,
    path: &str,
) -> http::Response<impl http_body::Body> {
    let mut req = plimsoll_core::test_kit::request(Script::EndlessBody);
    *req.uri_mut() = path.parse().unwrap();
    crate::sample::send_request(layer, req).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_plan_has_its_own_policy_and_every_request_has_one() {
    let plan = |req: &http::Request<()>| req.uri().path().strip_prefix("/plan/")?.parse().ok();
    let plans = [Slots::new(1), Slots::new(2)];
    let layer = GateLayer::new(Choose::new(plan, plans, Slots::new(1)));
    let running = [
        call_path(&layer, "/plan/0").await,
        call_path(&layer, "/plan/1").await,
        call_path(&layer, "/plan/1").await,
        call_path(&layer, "/plan/2").await,
    ];
    assert!(running.iter().all(|response| response.status() == 200));
    assert_eq!(call_path(&layer, "/plan/0").await.status(), 503);
    assert_eq!(call_path(&layer, "/plan/1").await.status(), 503);
    assert_eq!(
        call_path(&layer, "/plan/3").await.status(),
        503,
        "index out of range"
    );
    assert_eq!(call_path(&layer, "/other").await.status(), 503, "no plan");
    let in_flight = || {
        let choose = layer.policy();
        let policies = choose.get_ref().iter().chain([choose.otherwise()]);
        policies.map(Slots::in_flight).collect::<Vec<_>>()
    };
    assert_eq!(in_flight(), [1, 2, 1]);
    drop(running);
    assert_eq!(in_flight(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_chosen_by_the_value_of_a_key() {
    let cases = [("/a", Slots::new(1)), ("/b", Slots::new(0))];
    let layer = GateLayer::new(Choose::by(Route::grpc(), cases, Slots::new(2)));
    let mut running = Vec::new();
    for (path, status) in [
        ("/a", 200),
        ("/a", 503),
        ("/b", 503),
        ("/c", 200),
        ("/", 200),
        ("/a/", 503),
    ] {
        let response = call_path(&layer, path).await;
        assert_eq!(response.status(), status, "{path}");
        running.push(response);
    }
    assert_eq!(layer.policy().otherwise().in_flight(), 2);

    // A request without a key gets `otherwise`.
    let header = HeaderKey::from_static("x-plan");
    let layer = GateLayer::new(Choose::by(header, [(b"pro", Slots::new(1))], Slots::new(0)));
    assert_eq!(call_path(&layer, "/").await.status(), 503);
}

#[tokio::test(start_paused = true)]
async fn a_chosen_policy_keeps_the_laws() {
    for chosen in [Some(0), Some(1), None] {
        Contract::new(
            move || {
                let choice = move |_: &http::Request<()>| chosen;
                Choose::new(choice, [Slots::new(2)], Slots::new(2))
            },
            |choose| choose.get_ref()[0].in_flight() + choose.otherwise().in_flight(),
        )
        .capacity(2)
        .check_all()
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_queued_in_the_chosen_policy() {
    for chosen in [1, 2] {
        let layer = GateLayer::new(Choose::new(
            move |_: &http::Request<()>| Some(chosen),
            [Door::default(), Door::default()],
            Door::default(),
        ));
        let mut waiting = std::pin::pin!(send(&layer, Script::Body));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        let choose = layer.policy();
        let doors = [
            &choose.get_ref()[0],
            &choose.get_ref()[1],
            choose.otherwise(),
        ];
        doors[chosen].open();
        assert_eq!(waiting.await.unwrap().status(), 200);
    }
}

/// A policy with a load.
#[cfg(feature = "load")]
struct Loaded;

#[cfg(feature = "load")]
impl plimsoll_core::LoadSignal for Loaded {
    fn load(&self) -> f64 {
        0.7
    }
}

#[cfg(feature = "load")]
#[test]
fn the_load_of_a_gate_is_its_policys_load() {
    use tower::load::Load;
    let gate = GateLayer::new(Loaded).layer(());
    assert_eq!(gate.load().to_bits(), 0.7_f64.to_bits());
}

#[test]
fn threads_have_different_shards() {
    let other = || {
        std::thread::spawn(plimsoll_core::support::shard)
            .join()
            .unwrap()
    };
    assert_eq!(
        plimsoll_core::support::shard(),
        plimsoll_core::support::shard()
    );
    assert_ne!(plimsoll_core::support::shard(), other());
    assert_ne!(other(), other());
}

#[test]
fn there_is_a_shard_for_each_of_up_to_64_processors() {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = plimsoll_core::support::shards();
    assert!(
        shards.is_power_of_two() && shards >= processors.min(64),
        "{shards}"
    );
    assert!(shards < 2 * processors, "{shards}");
}
