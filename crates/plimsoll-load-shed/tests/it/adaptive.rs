//! Adaptive shedding in front of a simulated service, in virtual time.

use std::time::Duration;

use plimsoll_core::{
    Class, Criticality, Kind, Outcome, Policy, Priority, Same,
    policy::{Announcement, Verdict},
    wire,
};
use plimsoll_load_shed::{AdaptiveShed, InvalidAdaptiveShed};
use tokio::time::Instant;

use crate::{
    contenders::Adaptive,
    lab::{Second, Service, Shed, one_to_twelve, run, sum},
};

/// A capacity of 2,500 requests per second.
const SERVICE: Service = Service {
    workers: 50,
    mean: 0.02,
    deadline: 0.2,
};
/// Seconds at half the capacity, before the overload.
const CALM: usize = 3;
/// Seconds until the threshold has settled and the first queue is worked off.
const FINDING: usize = 5;
/// Seconds of overload.
const STORM: usize = 30;
/// Seconds at half the capacity, after it.
const AFTER: usize = 5;

/// Half the capacity, `load` times the capacity, and half the capacity.
fn storm(load: f64) -> impl Iterator<Item = f64> {
    let calm = 0.5 * SERVICE.capacity();
    std::iter::repeat_n(calm, CALM)
        .chain(std::iter::repeat_n(load * SERVICE.capacity(), STORM))
        .chain(std::iter::repeat_n(calm, AFTER))
}

/// The overload, once the threshold has settled.
fn held(seconds: &[Second]) -> &[Second] {
    &seconds[CALM + FINDING..CALM + STORM]
}

fn adaptive() -> Adaptive {
    Adaptive::new()
}

/// Requests admitted in a second, over the capacity.
fn admitted(second: &Second) -> f64 {
    f64::from(second.admitted.iter().sum::<u32>()) / SERVICE.capacity()
}

#[test]
fn high_priority_is_answered_and_low_priority_fills_the_rest() {
    for (load, seed) in [(2.0, 1), (3.0, 2), (6.0, 3), (12.0, 4), (12.0, 5)] {
        let seconds = run(SERVICE, storm(load), one_to_twelve, &mut adaptive(), seed);
        let held = held(&seconds);
        let arrived = sum(held, |second| second.arrived);
        let in_time = sum(held, |second| second.in_time);
        let high = in_time[3] / arrived[3];
        // At 12x high priority alone is 0.92 of the capacity, and noise takes it to 1 at times.
        let bar = if load < 12.0 { 0.995 } else { 0.99 };
        assert!(high >= bar, "{high} of high priority at {load}x");
        let total = held.iter().map(admitted).sum::<f64>() / held.len() as f64;
        assert!((total - 1.0).abs() < 0.03, "{total} admitted at {load}x");
        let goodput = in_time.iter().sum::<f64>() / (held.len() as f64 * SERVICE.capacity());
        assert!(goodput > 0.97, "{goodput} of capacity at {load}x");
        // Each second alone, noise of the arrivals included.
        for second in held {
            let admitted = admitted(second);
            assert!(
                (admitted - 1.0).abs() < 0.12,
                "{admitted} in a second at {load}x"
            );
        }
        let after = seconds[CALM + STORM..].iter();
        let back = after.take_while(|second| second.threshold > 0).count();
        assert!(back < 3, "{back} s after a storm of {load}x");
        assert!(seconds[..CALM].iter().all(|second| second.threshold == 0));
    }
}

/// Records which calls are admitted.
struct Watched(Adaptive, Vec<bool>);

impl Shed for Watched {
    fn admit(&mut self, priority: Priority, now: Instant) -> bool {
        let admits = self.0.admit(priority, now);
        self.1.push(admits);
        admits
    }
    fn starts(&mut self, waited: Duration, runs: Duration, now: Instant) {
        self.0.starts(waited, runs, now);
    }
    fn ends(&mut self, now: Instant) {
        self.0.ends(now);
    }
    fn threshold(&self) -> u16 {
        self.0.threshold()
    }
}

#[test]
fn calls_of_one_task_are_admitted_or_shed_together() {
    for calls in 1..=4_usize {
        let mut watched = Watched(adaptive(), Vec::new());
        let (mut count, mut user) = (0, Priority::default());
        // Each user makes this number of calls in a row.
        let whose = |rng: &mut fastrand::Rng| {
            if count % calls == 0 {
                user = Priority::default().cohort_of(rng.u64(..).to_le_bytes(), 0);
            }
            count += 1;
            user
        };
        let seconds = run(SERVICE, storm(2.0), whose, &mut watched, 11);
        let before = |end: usize| {
            let arrived = sum(&seconds[..end], |second| second.arrived);
            (arrived.iter().sum::<f64>() as usize).next_multiple_of(calls)
        };
        let held = &watched.1[before(CALM + FINDING)..before(CALM + STORM)];
        let tasks = held.chunks_exact(calls);
        let all = tasks.len() as f64;
        let whole = tasks
            .filter(|task| task.iter().all(|admits| *admits))
            .count() as f64;
        // Half of the offered calls can be served, so half of the tasks, too.
        let ideal = whole / all / 0.5;
        assert!(ideal > 0.9, "{ideal} of ideal with {calls} calls");
    }
}

#[test]
fn one_user_alone_is_held_at_the_capacity() {
    let only = |_: &mut fastrand::Rng| Priority::new(Criticality::Critical).in_cohort(77);
    let seconds = run(SERVICE, storm(6.0), only, &mut adaptive(), 3);
    let held = held(&seconds);
    let total = held.iter().map(admitted).sum::<f64>() / held.len() as f64;
    assert!((total - 1.0).abs() < 0.03, "{total}");
}

/// Callers that read the threshold and hold back requests below it, except one in a thousand.
struct HoldsBack(Adaptive, u32);

impl Shed for HoldsBack {
    fn admit(&mut self, priority: Priority, now: Instant) -> bool {
        self.1 += 1;
        let sends = priority.level() >= self.0.threshold() || self.1 % 1000 == 0;
        sends && self.0.admit(priority, now)
    }
    fn starts(&mut self, waited: Duration, runs: Duration, now: Instant) {
        self.0.starts(waited, runs, now);
    }
    fn ends(&mut self, now: Instant) {
        self.0.ends(now);
    }
    fn threshold(&self) -> u16 {
        self.0.threshold()
    }
}

#[test]
fn the_threshold_stands_while_callers_hold_back_requests_below_it() {
    let mut callers = HoldsBack(adaptive().told(), 0);
    let seconds = run(SERVICE, storm(6.0), one_to_twelve, &mut callers, 3);
    let held = held(&seconds);
    assert!(held.iter().all(|second| second.threshold > 0));
    let total = held.iter().map(admitted).sum::<f64>() / held.len() as f64;
    assert!((total - 1.0).abs() < 0.05, "{total}");
    assert!(
        seconds.last().unwrap().threshold == 0,
        "it falls after the overload"
    );
}

/// Sheds requests that are priorities themselves, at this constant load.
fn shed_by(load: f64) -> AdaptiveShed<impl Fn() -> f64, fn(&Priority) -> Priority> {
    let shed = AdaptiveShed::new(move || load);
    shed.priorities(|priority| *priority)
}

#[test]
fn a_service_without_a_response_is_still_probed() {
    let shed = shed_by(9.0);
    let start = Instant::now();
    let admits = (0..100_000_u64).filter(|n| {
        let now = start + Duration::from_millis(*n);
        matches!(shed.admit(&mut Priority::default(), now), Verdict::Admit(_))
    });
    let admitted = admits.count();
    assert!((400..4000).contains(&admitted), "{admitted} of 100,000");
    assert!(shed.handle().budget().unwrap() < 20.0);
}

#[test]
fn a_signal_that_is_nan_or_below_1_sheds_nothing() {
    for load in [0.99, 0.0, -1.0, f64::NAN] {
        let shed = shed_by(load);
        let start = Instant::now();
        for n in 0..10_000 {
            let now = start + Duration::from_millis(n);
            let verdict = shed.admit(&mut Criticality::Sheddable.into(), now);
            assert!(matches!(verdict, Verdict::Admit(_)), "at {load}");
        }
        assert_eq!(shed.handle().budget(), None);
    }
}

/// A policy after ten seconds of overload without a response.
fn overloaded() -> AdaptiveShed<impl Fn() -> f64, Same> {
    let shed = AdaptiveShed::new(|| 9.0).priorities(Same(Priority::default()));
    let start = Instant::now();
    for n in 0..1000 {
        _ = Policy::<()>::admit(&shed, &mut (), start + Duration::from_millis(10 * n));
    }
    shed
}

/// A rejection by `shed`, which sheds nearly all requests.
fn rejection_of<L, R>(shed: &AdaptiveShed<L, R>) -> plimsoll_core::Rejection
where
    AdaptiveShed<L, R>: Policy<()>,
{
    let rejected = (0..1000).find_map(|_| match shed.admit(&mut (), Instant::now()) {
        Verdict::Reject(rejection) => Some(rejection),
        _ => None,
    });
    rejected.expect("nearly all are shed")
}

#[test]
fn the_threshold_is_announced_only_when_set() {
    let shed = overloaded();
    let rejection = rejection_of(&shed);
    assert_eq!(
        (rejection.policy(), rejection.kind(), rejection.threshold()),
        ("adaptive-shed", Kind::Full, None)
    );
    assert_eq!(rejection.retry_after(), Some(Duration::from_secs(1)));
    let announced = |shed: &AdaptiveShed<_, _>| {
        let mut headers = http::HeaderMap::new();
        let mut out = Announcement::to(&mut headers);
        Policy::<()>::announce(shed, &Criticality::Critical, Instant::now(), &mut out);
        wire::threshold(&headers)
    };
    assert_eq!(announced(&shed), None);

    let shed = shed.announce_threshold();
    let threshold = shed.handle().threshold();
    assert!(threshold >= Priority::default().level(), "{threshold}");
    assert_eq!(rejection_of(&shed).threshold(), Some(threshold));
    assert_eq!(announced(&shed), Some(threshold));
}

#[test]
fn a_cancelled_call_counts_as_done_and_an_overloaded_or_rejected_one_does_not() {
    let budget = |class| {
        let shed = shed_by(1.0);
        let start = Instant::now();
        for n in 0..10_000 {
            let now = start + Duration::from_millis(n);
            if let Verdict::Admit(permit) = shed.admit(&mut Priority::default(), now) {
                let outcome = Outcome::new(class, Duration::ZERO, now);
                Policy::<Priority>::finish(&shed, permit, &outcome);
            }
        }
        shed.handle().budget().unwrap()
    };
    // At a load of 1, with all calls done, all are admitted.
    assert!(budget(Class::Success) > 900.0);
    assert!(budget(Class::Ignored) > 900.0);
    assert!(budget(Class::Failure) > 900.0);
    assert!(budget(Class::Cancelled) > 900.0, "it held a slot");
    assert!(budget(Class::Overloaded) < 100.0);
    assert!(budget(Class::Rejected) < 100.0, "by an inner gate");
}

#[test]
fn settings_are_checked_and_can_be_changed() {
    let shed = AdaptiveShed::new(|| 0.0);
    let handle = shed.handle();
    for bad in [
        Duration::ZERO,
        Duration::from_micros(999),
        Duration::from_secs(61),
    ] {
        assert_eq!(
            handle.set_window(bad),
            Err(InvalidAdaptiveShed::Window(bad))
        );
    }
    assert_eq!(handle.window(), Duration::from_millis(5));
    let shed = shed.window(Duration::from_secs(1)).unwrap();
    assert_eq!(shed.handle().window(), Duration::from_secs(1));
    assert!(handle.set_retry_after(Duration::ZERO).is_err());
    handle.set_retry_after(Duration::from_secs(9)).unwrap();
    assert_eq!(handle.retry_after(), Duration::from_secs(9));
}

#[test]
fn threads_that_close_windows_at_once_count_each_request() {
    let shed = shed_by(0.5);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..20_000 {
                    let now = start + Duration::from_micros(50 * n);
                    _ = shed.admit(&mut Priority::default(), now);
                }
            });
        }
    });
    assert_eq!(shed.handle().admitted(Criticality::Critical), 80_000);
    assert_eq!(shed.handle().threshold(), 0);
}
