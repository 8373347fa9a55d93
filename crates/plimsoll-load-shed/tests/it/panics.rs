//! User closures that panic: no count is lost, and the next request is decided as usual.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::{Criticality, LoadSignal, Policy, Priority, Same};
use plimsoll_load_shed::{AdaptiveShed, LoadShed, WorstOf};
use tokio::time::Instant;

/// Whether `admit` panics.
fn panics<P: Policy<()>>(policy: &P, now: Instant) -> bool {
    let asked = AssertUnwindSafe(|| _ = policy.admit(&mut (), now));
    catch_unwind(asked).is_err()
}

fn important() -> Same {
    Same(Priority::new(Criticality::CriticalPlus).in_cohort(127))
}

#[test]
fn law_02_a_load_signal_that_panics_does_not_stop_the_shedding() {
    static BROKEN: AtomicBool = AtomicBool::new(true);
    let signal = || {
        assert!(!BROKEN.load(Relaxed), "the signal is broken");
        9.0
    };
    let worst = WorstOf::new().and(signal);
    let (adaptive, fixed) = (
        AdaptiveShed::new(signal).priorities(important()),
        LoadShed::new(signal).priorities(important()),
    );
    let start = Instant::now();
    let at = |n: u64| start + Duration::from_millis(10 * n);
    assert!(panics(&adaptive, start));
    assert!(panics(&adaptive, at(1)) && panics(&fixed, at(1)));
    assert!(catch_unwind(AssertUnwindSafe(|| worst.load())).is_err());
    BROKEN.store(false, Relaxed);
    assert!((2..20).all(|n| !panics(&adaptive, at(n)) && !panics(&fixed, at(n))));
    assert!(adaptive.handle().budget().is_some(), "windows end again");
    assert_eq!(fixed.handle().admitted(Criticality::CriticalPlus), 18);
    assert_eq!(worst.load(), 9.0);
}

#[test]
fn law_02_a_request_whose_priority_panics_is_not_counted() {
    let panic = |(): &()| -> Priority { panic!("no priority") };
    let now = Instant::now();
    let (fixed, adaptive) = (
        LoadShed::new(|| 0.0).priorities(panic),
        AdaptiveShed::new(|| 0.0).priorities(panic),
    );
    assert!(panics(&fixed, now) && panics(&adaptive, now));
    for criticality in Criticality::ALL {
        assert_eq!(fixed.handle().admitted(criticality), 0);
        assert_eq!(adaptive.handle().admitted(criticality), 0);
    }
}
