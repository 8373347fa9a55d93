//! Recovery by a ramp.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_circuit_breaker::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerLayer, State, TransitionReason,
};
use plimsoll_core::Class;
use tokio::time::{Instant, advance, sleep, sleep_until, timeout};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Bench, millis, secs, small};

/// Recovering since now, with a ramp of eight seconds.
fn recovering() -> Bench {
    let bench = Bench::due_with(small().ramp(secs(8)).open_for(secs(1)));
    bench.call(Class::Success);
    bench.call(Class::Success);
    assert_eq!(bench.state(), "recovering");
    bench
}

#[test]
fn admitted_concurrency_doubles_step_by_step_and_then_has_no_limit() {
    let mut bench = recovering();
    let handle = bench.breaker.handle();
    let mut running = Vec::new();
    for step in 0..8 {
        while let Ok(permit) = bench.ask() {
            assert!(!permit.is_probe());
            running.push(permit);
        }
        assert_eq!(running.len(), 2 << step);
        assert_eq!(handle.admitted_concurrency(), Some(2 << step));
        assert_eq!(handle.probing(), 2 << step);
        bench.pass(secs(1));
    }
    assert_eq!(bench.state(), "recovering", "no request has arrived");
    assert!(bench.ask().is_ok());
    let latest = handle.last_transition().unwrap();
    assert_eq!(
        (latest.to, latest.reason),
        (State::Closed, TransitionReason::RampPassed)
    );
    assert_eq!(handle.admitted_concurrency(), None);
}

#[test]
fn a_call_that_ends_or_never_ran_releases_its_place() {
    let bench = recovering();
    for _ in 0..100 {
        let (first, second) = (bench.ask().unwrap(), bench.ask().unwrap());
        assert!(bench.ask().is_err());
        bench.end(first, Class::Cancelled);
        bench.revoke(second);
    }
    assert_eq!(
        (bench.state(), bench.breaker.handle().probing()),
        ("recovering", 0)
    );
}

#[test]
fn a_rate_that_is_reached_on_the_ramp_opens_again() {
    let mut bench = recovering();
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "recovering", "below min_calls");
    let (late, failing) = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.end(failing, Class::Failure);
    let handle = bench.breaker.handle();
    let latest = handle.last_transition().unwrap();
    assert_eq!((latest.from, latest.to), (State::Recovering, State::Open));
    assert_eq!(latest.reason, TransitionReason::FailureRate);
    assert_eq!((bench.rejected(), handle.opened()), (Some(secs(1)), 2));
    bench.pass(secs(1));
    assert!(bench.ask().unwrap().is_probe());
    bench.end(late, Class::Success);
    assert_eq!((handle.late(), handle.probing()), (1, 1));
}

#[test]
fn calls_that_hang_on_the_ramp_open_again() {
    let mut bench = Bench::due_with(small().ramp(secs(8)).slow_call(millis(800)));
    bench.call(Class::Success);
    bench.call(Class::Success);
    let _hanging = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.pass(millis(900));
    assert!(bench.ask().is_err());
    assert_eq!(bench.state(), "open");
}

#[test]
fn failures_of_the_ramp_count_after_it() {
    let mut bench = recovering();
    bench.call(Class::Failure);
    bench.pass(secs(8));
    bench.call(Class::Failure);
    assert_eq!(bench.state(), "open");
    assert_eq!(bench.breaker.handle().generation(), 5);
}

#[test]
fn rejections_on_the_ramp_have_an_estimate_of_the_wait() {
    let bench = recovering();
    let _running = (bench.ask().unwrap(), bench.ask().unwrap());
    let rejection = bench.ask().unwrap_err();
    assert_eq!(
        (rejection.retry_after(), rejection.is_estimate()),
        (Some(millis(100)), true)
    );
}

#[test]
fn without_a_ramp_the_breaker_closes_after_the_probes() {
    let bench = Bench::due();
    bench.call(Class::Success);
    bench.call(Class::Success);
    let latest = bench.breaker.handle().last_transition().unwrap();
    assert_eq!((latest.from, latest.to), (State::HalfOpen, State::Closed));
}

/// A callee with a cold cache: it works on `warmth` calls at a time, each of which takes 50 ms, and
/// gets warmer with each call that it has completed. Work beyond that queues, and queued work is
/// done even when its caller has left.
struct Cold {
    started: Instant,
    /// When the work that is queued so far will be done, in microseconds since the start.
    done_at: AtomicU64,
    completed: AtomicU64,
}

impl Cold {
    const OUTAGE: Duration = Duration::from_secs(2);
    /// Calls per second when warm.
    const WARM: u64 = 400;

    async fn call(self: Arc<Self>) -> StatusCode {
        let now = self.started.elapsed();
        if now < Self::OUTAGE {
            sleep(millis(5)).await;
            return StatusCode::INTERNAL_SERVER_ERROR;
        }
        // From 20 calls per second, by one for each two completed.
        let rate = (20 + self.completed.load(SeqCst) / 2).min(Self::WARM);
        let now = now.as_micros() as u64;
        let done_at = self.done_at.load(SeqCst).max(now) + 1_000_000 / rate;
        self.done_at.store(done_at, SeqCst);
        sleep_until(self.started + Duration::from_micros(done_at)).await;
        sleep(millis(5)).await;
        self.completed.fetch_add(1, SeqCst);
        StatusCode::OK
    }
}

/// Good answers within a second, among 300 calls per second in 60 s, and how often the breaker
/// opened.
async fn goodput(breaker: CircuitBreakerBuilder) -> (u64, u64) {
    fastrand::seed(3);
    let breaker = breaker.build().unwrap();
    let handle = breaker.handle();
    let cold = Arc::new(Cold {
        started: Instant::now(),
        done_at: AtomicU64::new(0),
        completed: AtomicU64::new(0),
    });
    let service = CircuitBreakerLayer::new(breaker).layer(service_fn(move |_: Request<()>| {
        let cold = Arc::clone(&cold);
        async move {
            let mut response = Response::new(Full::<bytes::Bytes>::default());
            *response.status_mut() = cold.call().await;
            Ok::<_, Infallible>(response)
        }
    }));
    let good = Arc::new(AtomicU64::new(0));
    for _ in 0..60 * 300 {
        let (service, good) = (service.clone(), Arc::clone(&good));
        tokio::spawn(async move {
            let call = service.oneshot(Request::new(()));
            if let Ok(Ok(response)) = timeout(secs(1), call).await {
                good.fetch_add(u64::from(response.status() == StatusCode::OK), SeqCst);
            }
        });
        advance(Duration::from_micros(3_333)).await;
    }
    (good.load(SeqCst), handle.opened())
}

/// Without a ramp the full load queues in front of the cold callee; all calls time out, the work is
/// wasted, and the breaker opens again and again.
#[tokio::test(start_paused = true)]
#[allow(clippy::print_stdout)] // The figures of `docs/circuit-breaking.md`.
async fn a_ramp_keeps_a_cold_callee_at_work() {
    let breaker = || CircuitBreaker::builder().open_for(secs(1));
    let (with, openings_with) = goodput(breaker()).await;
    let (without, openings_without) = goodput(breaker().ramp(None)).await;
    println!("with a ramp: {with} good answers, {openings_with} openings");
    println!("without: {without} good answers, {openings_without} openings");
    assert!(with > without * 3, "{with} and {without}");
}
