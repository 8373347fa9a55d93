//! State transitions that several threads cause together.

use loom::thread;
use plimsoll_core::{Class, Outcome, policy::Verdict};

use super::*;
use crate::window::Window;

/// Checks every interleaving with up to two preemptions.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 10_000;
    builder.check(model);
}

/// A breaker that opens at two failures of two calls, for exactly a second.
fn breaker(slow_call: Option<Duration>) -> (Arc<Shared>, Instant) {
    breaker_with(Window::Calls(2), slow_call)
}

fn breaker_with(window: Window, slow_call: Option<Duration>) -> (Arc<Shared>, Instant) {
    let settings = Settings {
        window,
        min_calls: 2,
        threshold: 1.0,
        open_for: Duration::from_secs(1),
        jitter: 0.0,
        probes_at_a_time: 1,
        successes: 1,
        ramp: None,
        slow_call,
        ..Settings::DEFAULT
    };
    let now = Instant::now();
    let shared = Shared::new(Arc::new(Common::new(settings)));
    assert_eq!(shared.epoch.nanos(now), 0);
    (shared, now)
}

fn ask(shared: &Shared, now: Instant) -> Option<CircuitBreakerPermit> {
    match shared.decide::<std::convert::Infallible>(now) {
        Verdict::Admit(permit) => Some(permit),
        _ => None,
    }
}

fn end(shared: &Shared, permit: CircuitBreakerPermit, class: Class, now: Instant) {
    shared.finish(permit, &Outcome::new(class, Duration::ZERO, now));
}

/// Runs `left` on a thread and `right` here.
fn both<T: 'static + Send>(
    shared: &Arc<Shared>,
    left: impl FnOnce(&Shared) -> T + Send + 'static,
    right: impl FnOnce(&Shared) -> T,
) -> [T; 2] {
    let other = Arc::clone(shared);
    let other = thread::spawn(move || left(&other));
    let right = right(shared);
    [other.join().unwrap(), right]
}

#[test]
fn two_failures_that_reach_the_rate_together_open_once() {
    check(|| {
        let (shared, now) = breaker(None);
        let permits = [(); 2].map(|()| ask(&shared, now).unwrap());
        let [left, right] = permits;
        both(
            &shared,
            move |shared| end(shared, left, Class::Failure, now),
            |shared| end(shared, right, Class::Failure, now),
        );
        assert_eq!(shared.stamp(), Stamp::new(1, State::Open));
        assert_eq!(
            (shared.common.opened.get(), shared.common.late.get()),
            (1, 0)
        );
    });
}

fn open(slow_call: Option<Duration>) -> (Arc<Shared>, Instant) {
    let (shared, now) = breaker(slow_call);
    for _ in 0..2 {
        end(&shared, ask(&shared, now).unwrap(), Class::Failure, now);
    }
    assert_eq!(shared.stamp().state(), State::Open);
    (shared, now + Duration::from_secs(1))
}

#[test]
fn of_two_requests_that_find_the_opening_over_one_is_the_probe() {
    check(|| {
        let (shared, due) = open(None);
        let asked = both(
            &shared,
            move |shared| ask(shared, due),
            |shared| ask(shared, due),
        );
        assert_eq!(asked.iter().flatten().count(), 1);
        assert_eq!(shared.running(), 1);
    });
}

#[test]
fn a_request_beside_the_last_probe_is_admitted_by_one_side_or_rejected() {
    check(|| {
        let (shared, due) = open(None);
        let probe = ask(&shared, due).unwrap();
        let [(), ()] = both(
            &shared,
            move |shared| {
                if let Some(permit) = ask(shared, due) {
                    assert!(!permit.is_probe());
                    end(shared, permit, Class::Success, due);
                }
            },
            |shared| end(shared, probe, Class::Success, due),
        );
        assert_eq!(shared.stamp(), Stamp::new(3, State::Closed));
        assert!(shared.window.is_clean());
    });
}

/// A call is counted in flight while another thread starts a new generation.
#[test]
fn a_call_that_is_admitted_beside_a_transition_leaves_no_count_behind() {
    check(|| {
        let (shared, now) = breaker(Some(Duration::from_secs(1)));
        end(&shared, ask(&shared, now).unwrap(), Class::Success, now);
        both(
            &shared,
            move |shared| {
                if let Some(permit) = ask(shared, now) {
                    end(shared, permit, Class::Cancelled, now);
                }
            },
            move |shared| shared.force(State::Closed, now),
        );
        let later = now + Duration::from_secs(9);
        end(&shared, ask(&shared, later).unwrap(), Class::Success, later);
        assert_eq!(shared.slow_in_flight(), 0);
    });
}

/// A success that ends beside a failure does not let later successes end without being recorded.
#[test]
fn successes_after_a_failure_take_its_place_in_the_window() {
    check(|| {
        let (shared, now) = breaker(None);
        end(&shared, ask(&shared, now).unwrap(), Class::Success, now);
        let [left, right] = [(); 2].map(|()| ask(&shared, now).unwrap());
        both(
            &shared,
            move |shared| end(shared, left, Class::Success, now),
            |shared| end(shared, right, Class::Failure, now),
        );
        for _ in 0..2 {
            end(&shared, ask(&shared, now).unwrap(), Class::Success, now);
        }
        let totals = shared.totals();
        assert_eq!((totals.calls, totals.failures), (2, 0));
    });
}

/// A success that ends beside a transition does not let calls of its generation end as current ones.
#[test]
fn a_late_success_counts_as_late_after_a_transition_beside_another() {
    check(|| {
        // An empty window by time is healthy, so that a transition does not end the usual path.
        let (shared, now) = breaker_with(Window::Time(Duration::from_secs(10)), None);
        let [left, late] = [(); 2].map(|()| ask(&shared, now).unwrap());
        both(
            &shared,
            move |shared| end(shared, left, Class::Success, now),
            |shared| shared.force(State::Closed, now),
        );
        let before = shared.common.late.get();
        end(&shared, late, Class::Success, now);
        assert_eq!(shared.common.late.get(), before + 1);
    });
}
