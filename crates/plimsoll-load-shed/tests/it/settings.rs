//! Settings and their bounds.

use std::time::Duration;

use plimsoll_core::{Criticality, Priority};
use plimsoll_load_shed::{InvalidLoadShed, LoadShed};

use crate::{Dial, admits, shed_by};

#[test]
fn law_09_bad_settings_fail_at_construction_and_name_field_and_bound() {
    let between = |start, full| {
        LoadShed::new(|| 0.0)
            .between(start, full)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(between(-0.1, 1.0), "start must be in 0..=1000, got -0.1");
    assert_eq!(between(f64::NAN, 1.0), "start must be in 0..=1000, got NaN");
    assert_eq!(
        between(0.8, 0.8),
        "full must be above start (0.8) and at most 1000, got 0.8"
    );
    assert_eq!(
        between(0.8, f64::INFINITY),
        "full must be above start (0.8) and at most 1000, got inf"
    );
    assert!(between(0.8, f64::NAN).ends_with("got NaN"));
    assert!(
        between(0.5, 0.500_000_1).starts_with("full must be"),
        "equal in millionths"
    );

    let hint = LoadShed::new(|| 0.0)
        .retry_after(Duration::ZERO)
        .unwrap_err();
    assert_eq!(
        hint.to_string(),
        "retry_after must be in 1ns..=1 day, got 0ns"
    );
    let long = Duration::from_secs(86_401);
    assert_eq!(
        LoadShed::new(|| 0.0).retry_after(long).unwrap_err(),
        InvalidLoadShed::RetryAfter(long)
    );
}

#[test]
fn the_handle_sets_both_loads_together_and_an_invalid_pair_changes_nothing() {
    let dial = Dial::at(0.9);
    let shed = shed_by(&dial);
    let handle = shed.handle();
    assert!(!admits(&shed, Criticality::Sheddable.into()));

    handle.clone().set_between(0.95, 1.5).unwrap();
    assert_eq!(
        (handle.start(), handle.full(), handle.threshold()),
        (0.95, 1.5, 0)
    );
    assert!(admits(&shed, Criticality::Sheddable.into()));

    assert!(handle.set_between(1.0, 0.5).is_err());
    assert_eq!((handle.start(), handle.full()), (0.95, 1.5));

    dial.set(1.5);
    assert_eq!((handle.load(), handle.threshold()), (1.5, 511));
}

#[test]
fn the_handle_changes_the_hint() {
    let handle = LoadShed::new(|| 0.0)
        .retry_after(Duration::from_secs(3))
        .unwrap()
        .handle();
    assert_eq!(handle.retry_after(), Duration::from_secs(3));
    handle.set_retry_after(Duration::from_millis(250)).unwrap();
    assert_eq!(handle.retry_after(), Duration::from_millis(250));
    assert!(handle.set_retry_after(Duration::ZERO).is_err());
    assert_eq!(handle.retry_after(), Duration::from_millis(250));
}

#[test]
fn admitted_and_shed_requests_are_counted_by_criticality() {
    let dial = Dial::at(0.5);
    let shed = shed_by(&dial);
    let handle = shed.handle();
    for criticality in Criticality::ALL {
        admits(&shed, Priority::new(criticality));
    }
    for criticality in Criticality::ALL {
        let kept = u64::from(criticality >= Criticality::Critical);
        assert_eq!(
            (handle.admitted(criticality), handle.shed(criticality)),
            (kept, 1 - kept)
        );
    }
}
