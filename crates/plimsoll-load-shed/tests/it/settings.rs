//! What can be set, when, and what cannot.

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
    assert_eq!(
        between(-0.1, 1.0),
        "start is -0.1, but must be a load from 0 to 1000"
    );
    assert_eq!(
        between(f64::NAN, 1.0),
        "start is NaN, but must be a load from 0 to 1000"
    );
    assert_eq!(
        between(0.8, 0.8),
        "full is 0.8, but must be a load above start, 0.8, and at most 1000"
    );
    assert_eq!(
        between(0.8, f64::INFINITY),
        "full is inf, but must be a load above start, 0.8, and at most 1000"
    );
    assert!(between(0.8, f64::NAN).starts_with("full is NaN"));
    assert!(
        between(0.5, 0.500_000_1).starts_with("full is"),
        "equal in millionths"
    );

    let hint = LoadShed::new(|| 0.0)
        .retry_after(Duration::ZERO)
        .unwrap_err();
    assert_eq!(
        hint.to_string(),
        "retry hint is 0ns, but must be 1 nanosecond to 1 day"
    );
    let long = Duration::from_secs(86_401);
    assert_eq!(
        LoadShed::new(|| 0.0).retry_after(long).unwrap_err(),
        InvalidLoadShed::RetryAfter(long)
    );
}

#[test]
fn the_handle_moves_both_loads_at_once_and_a_bad_pair_changes_nothing() {
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
fn what_is_admitted_and_shed_is_counted_by_criticality() {
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
