//! The twelve laws, for the complete stack.

use std::{
    convert::Infallible,
    task::{Context, Waker},
    time::Duration,
};

use http::{Request, Response};
use plimsoll::{
    Class, GateLayer, HeaderKey, LoadSignal as _, Missing, Observe, Outcome, Policy, Rejected,
    Rejection,
    circuit_breaker::{CircuitBreaker, CircuitBreakerHandle, State},
    concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle},
    fallback::Fallback,
    load_shed::{Depth, LoadShed},
    policy::Verdict,
    rate_limit::{Quota, RateLimit, SlidingLog},
    sampling::{Rates, Sampling},
};
use plimsoll_core::test_kit::{Contract, KitRequest, Script, Scripted, ScriptedError, request};
use tokio::time::{Instant, advance};
use tower::{Layer as _, Service as _, ServiceExt as _};

const KEY: HeaderKey = HeaderKey::from_static("x-key");

/// One policy of each crate, fused, with the handles that show their state.
struct Stack<P> {
    policies: P,
    rate: RateLimit,
    concurrency: ConcurrencyLimitHandle,
    breaker: CircuitBreakerHandle,
}

/// A stack that admits a burst of `burst` requests, and `limit` requests at a time.
fn stack(burst: u32, limit: usize) -> Stack<impl Policy<KitRequest> + 'static> {
    let rate = RateLimit::new(Quota::per_second(1).burst(burst)).unwrap();
    let concurrency = ConcurrencyLimit::new(limit).unwrap();
    let load = concurrency.handle();
    let breaker = CircuitBreaker::builder()
        .jitter(0.0)
        .window(4)
        .min_calls(4)
        .open_for(Duration::from_secs(5));
    let breaker = breaker.build().unwrap();
    Stack {
        breaker: breaker.handle(),
        concurrency: load.clone(),
        rate: RateLimit::new(Quota::per_second(1).burst(burst)).unwrap(),
        policies: (
            rate,
            LoadShed::new(load.clone()).between(1.5, 2.0).unwrap(),
            concurrency,
            Sampling::new(load, Rates::default()).unwrap(),
            breaker,
        ),
    }
}

/// The test kit's contract for the stack: permits that are out equal requests in flight.
fn contract() -> Contract<(
    RateLimit,
    LoadShed<ConcurrencyLimitHandle>,
    ConcurrencyLimit,
    CircuitBreaker,
)> {
    Contract::new(
        || {
            let concurrency = ConcurrencyLimit::new(3).unwrap();
            let load = concurrency.handle();
            (
                RateLimit::new(Quota::per_second(1000).burst(1000)).unwrap(),
                LoadShed::new(load).between(1.5, 2.0).unwrap(),
                concurrency,
                CircuitBreaker::new(),
            )
        },
        |(_, _, concurrency, _)| concurrency.handle().in_flight() as u64,
    )
    .capacity(3)
}

async fn send<P: Policy<KitRequest> + 'static>(
    layer: &GateLayer<P>,
    script: Script,
) -> Result<Response<()>, ScriptedError> {
    let response = layer
        .layer(Scripted::default())
        .oneshot(request(script))
        .await?;
    let (head, body) = response.into_parts();
    _ = http_body_util::BodyExt::collect(body).await;
    Ok(Response::from_parts(head, ()))
}

#[tokio::test(start_paused = true)]
async fn law_01_state_is_shared_across_layer_calls() {
    contract().law_01_state_is_shared_across_layer_calls().await;
}

#[tokio::test(start_paused = true)]
async fn law_02_every_permit_ends_exactly_once() {
    contract().law_02_every_permit_ends_exactly_once().await;
    queue().law_02_every_permit_ends_exactly_once().await;
    queue().law_02_abandoned_waits_leave_nothing_behind().await;
}

#[tokio::test(start_paused = true)]
async fn law_03_a_rejected_request_has_spent_nothing() {
    contract()
        .law_03_a_rejected_request_has_spent_nothing()
        .await;

    // The last policy rejects a hundred requests; the first policy still has its three tokens.
    let stack = stack(3, 10);
    let layer = GateLayer::new(stack.policies);
    stack.breaker.force_open();
    for _ in 0..100 {
        let refused = send(&layer, Script::Body).await.unwrap();
        let rejection = refused.extensions().get::<Rejection>().unwrap();
        assert_eq!(rejection.policy(), "circuit-breaker");
    }
    assert_eq!(stack.concurrency.in_flight(), 0);
    stack.breaker.automatic();
    stack.breaker.reset();
    for expected in [200, 200, 200, 429] {
        assert_eq!(send(&layer, Script::Body).await.unwrap().status(), expected);
    }
    assert_eq!(
        stack.rate.available(Instant::now()),
        3,
        "for comparison, an unused bucket"
    );
}

#[tokio::test(start_paused = true)]
async fn law_04_nothing_is_reserved_in_poll_ready() {
    contract().law_04_nothing_is_reserved_in_poll_ready().await;
}

/// A limit that queues.
fn queue() -> Contract<ConcurrencyLimit> {
    let queue = || ConcurrencyLimit::new(2)?.queue(8, Duration::from_secs(1));
    Contract::new(
        move || queue().unwrap(),
        |concurrency| concurrency.handle().in_flight() as u64,
    )
    .capacity(2)
}

#[tokio::test(start_paused = true)]
async fn law_05_a_waiting_request_does_not_wake_itself() {
    queue()
        .law_05_a_waiting_request_does_not_wake_itself()
        .await;
}

#[test]
fn law_06_nothing_is_allocated_on_the_accept_path_of_all_six() {
    let concurrency = ConcurrencyLimit::new(64).unwrap();
    let load = concurrency.handle();
    let policies = (
        RateLimit::new(Quota::per_second(1_000_000).burst(1_000_000)).unwrap(),
        LoadShed::new(load.clone()),
        concurrency,
        Sampling::new(load, Rates::default()).unwrap(),
        CircuitBreaker::new(),
    );
    let fallback = Fallback::answer(Response::new("a house ad"));
    let inner = tower::service_fn(|_: Request<()>| {
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"hello"));
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let mut gate = GateLayer::builder(policies)
        .protocol(fallback)
        .build()
        .layer(inner);
    let mut cx = Context::from_waker(Waker::noop());
    let mut once = || {
        assert!(gate.poll_ready(&mut cx).is_ready());
        let call = std::pin::pin!(gate.call(Request::new(())));
        let std::task::Poll::Ready(Ok(response)) = call.poll(&mut cx) else {
            panic!("ready at once")
        };
        assert_eq!(response.status(), 200);
        let mut body = std::pin::pin!(response.into_body());
        while let std::task::Poll::Ready(Some(frame)) =
            http_body::Body::poll_frame(body.as_mut(), &mut cx)
        {
            frame.unwrap();
        }
    };
    once();
    let allocations = allocation_counter::measure(|| (0..100).for_each(|_| once()));
    assert_eq!(allocations.count_total, 0);
}

#[tokio::test(start_paused = true)]
async fn law_07_floods_stay_within_bounds_and_are_counted() {
    let quota = Quota::per_hour(1).burst(1);
    let keyed = RateLimit::new(quota)
        .unwrap()
        .per_key(KEY, Missing::Share, 512)
        .unwrap();
    let handle = keyed.handle();
    let layer = GateLayer::new(keyed);
    let mut admitted = 0;
    for n in 0..20_000 {
        let mut req = request(Script::Status(http::StatusCode::OK));
        req.headers_mut().insert("x-key", n.into());
        let response = layer.layer(Scripted::default()).oneshot(req).await.unwrap();
        admitted += u64::from(response.status() == 200);
    }
    assert!(handle.keys() <= handle.capacity());
    assert!(
        admitted <= handle.capacity() + 1,
        "the limit never fails open: {admitted} admitted"
    );
    assert_eq!(
        handle.keys() + handle.evicted(),
        20_000,
        "all are accounted for"
    );

    // The table for any policy (`Keyed`) has the same bound.
    let hour = Duration::from_secs(60 * 60);
    let log = SlidingLog::new(1, hour).unwrap();
    let keyed = log.per_key(KEY, Missing::Share, 512).unwrap();
    let handle = keyed.handle();
    let admitted = (0..5_000_u32).filter(|n| {
        let mut req = request(Script::Status(http::StatusCode::OK));
        req.headers_mut().insert("x-key", (*n).into());
        let Verdict::Admit(permit) = keyed.admit(&mut req, Instant::now()) else {
            return false;
        };
        let outcome = Outcome::new(Class::Success, Duration::ZERO, Instant::now());
        Policy::<KitRequest>::finish(&keyed, permit, &outcome);
        true
    });
    let admitted = admitted.count() as u64;
    assert!(admitted <= handle.capacity() + 1, "{admitted} admitted");
    assert!(handle.overflowed() > 0 && handle.evicted() == 0);

    let concurrency = ConcurrencyLimit::new(1)
        .unwrap()
        .queue(4, Duration::from_secs(1))
        .unwrap();
    let handle = concurrency.handle();
    let layer = GateLayer::new(concurrency);
    let mut calls = Vec::new();
    for _ in 0..100 {
        let mut call = Box::pin(send(&layer, Script::Hang));
        if futures_util::poll!(&mut call).is_pending() {
            calls.push(call);
        }
        assert!(handle.queued() <= 4);
    }
    assert_eq!((calls.len(), handle.rejected()), (5, 95));
}

#[tokio::test(start_paused = true)]
async fn law_08_a_paused_clock_moves_everything() {
    let stack = stack(1, 10);
    let layer = GateLayer::new(stack.policies);
    assert_eq!(send(&layer, Script::Body).await.unwrap().status(), 200);
    assert_eq!(
        send(&layer, Script::Body).await.unwrap().status(),
        429,
        "the clock stands still"
    );
    for _ in 0..3 {
        advance(Duration::from_secs(1)).await;
        assert!(
            send(&layer, Script::Error).await.is_err(),
            "a token a second"
        );
    }
    assert_eq!(stack.breaker.state(), State::Open);
    advance(Duration::from_secs(4)).await;
    assert_eq!(send(&layer, Script::Body).await.unwrap().status(), 503);
    advance(Duration::from_secs(1)).await;
    assert_eq!(
        send(&layer, Script::Body).await.unwrap().status(),
        200,
        "a probe"
    );

    let queue = ConcurrencyLimit::new(1)
        .unwrap()
        .queue(1, Duration::from_secs(9))
        .unwrap();
    let layer = GateLayer::new(queue);
    let mut runs = Box::pin(send(&layer, Script::Hang));
    assert!(futures_util::poll!(&mut runs).is_pending());
    let start = Instant::now();
    assert_eq!(send(&layer, Script::Body).await.unwrap().status(), 503);
    assert_eq!(start.elapsed().as_secs(), 9, "without real time");
}

#[test]
fn law_09_bad_settings_fail_at_construction_and_name_field_and_bound() {
    fn message<T, E: ToString>(result: Result<T, E>) -> String {
        result
            .err()
            .expect("the setting must be rejected")
            .to_string()
    }
    let breaker = || CircuitBreaker::builder();
    let rates = |base, min, threshold| {
        Sampling::new(
            || 0.0,
            Rates {
                base,
                min,
                threshold,
            },
        )
    };
    for (field, message) in [
        ("count", message(RateLimit::new(Quota::per_second(0)))),
        (
            "burst",
            message(RateLimit::new(Quota::per_second(1).burst(0))),
        ),
        (
            "period",
            message(RateLimit::new(Quota::new(1, Duration::ZERO))),
        ),
        ("limit", message(ConcurrencyLimit::new(0))),
        ("limit", message(ConcurrencyLimit::new(usize::MAX))),
        (
            "queue",
            message(
                ConcurrencyLimit::new(1)
                    .unwrap()
                    .queue(usize::MAX, Duration::from_secs(1)),
            ),
        ),
        (
            "capacity",
            message(
                RateLimit::new(Quota::per_second(1))
                    .unwrap()
                    .per_key(KEY, Missing::Share, 0),
            ),
        ),
        ("capacity", message(Depth::new(0))),
        (
            "start",
            message(LoadShed::new(|| 0.0).between(f64::NAN, 1.0)),
        ),
        ("full", message(LoadShed::new(|| 0.0).between(1.0, 0.5))),
        ("window", message(breaker().window(0).build())),
        ("failure_rate", message(breaker().failure_rate(0.0).build())),
        (
            "failure_rate",
            message(breaker().failure_rate(f64::NAN).build()),
        ),
        (
            "min_calls",
            message(breaker().window(10).min_calls(11).build()),
        ),
        ("probes", message(breaker().probes(0).build())),
        (
            "open_for",
            message(breaker().open_for(Duration::ZERO).build()),
        ),
        ("base", message(rates(0.0, 0.0, 0.5))),
        ("min", message(rates(0.5, 0.6, 0.5))),
        ("threshold", message(rates(1.0, 0.1, 1.0))),
    ] {
        assert!(message.contains(field), "{field}: {message}");
        let bound = ["must be", "at least", "at most", "longer", "below", "to "];
        assert!(
            bound.iter().any(|word| message.contains(word)),
            "no bound: {message}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn law_10_failing_telemetry_fails_no_request_and_a_full_queue_grows_no_memory() {
    struct Broken;
    impl Observe for Broken {
        fn admitted(&self, _: &str, _: Duration) {
            panic!("telemetry is down");
        }
        fn rejected(&self, _: &str, _: &Rejected<'_>) {
            panic!("telemetry is down");
        }
        fn finished(&self, _: &str, _: &Outcome) {
            panic!("telemetry is down");
        }
    }
    let stack = stack(2, 10);
    let layer = GateLayer::builder(stack.policies).observe(Broken).build();
    for expected in [200, 200, 429] {
        assert_eq!(send(&layer, Script::Body).await.unwrap().status(), expected);
    }
    assert_eq!(stack.concurrency.in_flight(), 0);

    let depth = Depth::new(3).unwrap();
    let entries: Vec<_> = (0..100).map_while(|_| depth.try_enter()).collect();
    assert_eq!((entries.len(), depth.load()), (3, 1.0), "full is closed");
}

#[tokio::test(start_paused = true)]
async fn law_11_probes_have_a_generation_and_a_limit_and_are_released_when_dropped() {
    let breaker = CircuitBreaker::builder()
        .window(2)
        .min_calls(2)
        .open_for(Duration::from_secs(1))
        .jitter(0.0)
        .probes(2)
        .successes(1)
        .ramp(None)
        .probe_timeout(Duration::from_secs(30));
    let breaker = breaker.build().unwrap();
    let handle = breaker.handle();
    let layer = GateLayer::new(breaker);

    // Admitted while closed; fails after the breaker has changed its state.
    let mut early = layer.layer(Scripted::default());
    let early = early
        .ready()
        .await
        .unwrap()
        .call(request(Script::BrokenBody))
        .await
        .unwrap();
    for _ in 0..2 {
        assert!(send(&layer, Script::Error).await.is_err());
    }
    assert_eq!(handle.state(), State::Open);
    advance(Duration::from_secs(1)).await;

    let mut probes = Vec::new();
    for _ in 0..5 {
        let mut call = Box::pin(send(&layer, Script::Hang));
        if futures_util::poll!(&mut call).is_pending() {
            probes.push(call);
        }
    }
    assert_eq!(
        (probes.len(), handle.state()),
        (2, State::HalfOpen),
        "probes are limited in number"
    );
    _ = http_body_util::BodyExt::collect(early.into_body()).await;
    assert_eq!(
        handle.state(),
        State::HalfOpen,
        "a late failure is not counted"
    );
    assert!(handle.late() >= 1);

    drop(probes.pop());
    assert_eq!(handle.probing(), 1, "a dropped probe is released");
    assert_eq!(send(&layer, Script::Body).await.unwrap().status(), 200);
    assert_eq!(handle.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn law_11_a_probe_that_hangs_is_released_after_its_timeout() {
    let breaker = CircuitBreaker::builder()
        .window(1)
        .min_calls(1)
        .open_for(Duration::from_secs(1))
        .jitter(0.0)
        .probes(1)
        .successes(1)
        .probe_timeout(Duration::from_secs(3));
    let breaker = breaker.build().unwrap();
    let layer = GateLayer::new(breaker);
    assert!(send(&layer, Script::Error).await.is_err());
    advance(Duration::from_secs(1)).await;
    let mut hangs = Box::pin(send(&layer, Script::Hang));
    assert!(futures_util::poll!(&mut hangs).is_pending());
    assert_eq!(send(&layer, Script::Body).await.unwrap().status(), 503);
    advance(Duration::from_secs(3)).await;
    assert_eq!(
        send(&layer, Script::Body).await.unwrap().status(),
        200,
        "another probe"
    );
}
