//! The builder, and settings from a file.

use std::time::Duration;

use plimsoll_core::{Criticality, Policy as _, Priority, Rejection, Same, policy::Verdict};
use plimsoll_load_shed::{LoadShed, LoadShedBuilder};
use tokio::time::Instant;

/// The rejection of a request of the lowest level at a load of 2.
fn rejection(builder: LoadShedBuilder) -> Rejection {
    let policy = builder
        .build(|| 2.0)
        .unwrap()
        .priorities(Same(Priority::new(Criticality::Sheddable).in_cohort(0)));
    match policy.admit(&mut (), Instant::now()) {
        Verdict::Reject(rejection) => rejection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_builder_sets_what_the_methods_of_a_policy_set() {
    let built = LoadShed::builder()
        .between(0.7, 1.2)
        .retry_after(Duration::from_secs(3))
        .announce_threshold();
    let handle = built.build(|| 0.0).unwrap().handle();
    assert_eq!((handle.start(), handle.full()), (0.7, 1.2));
    let rejected = rejection(built);
    assert_eq!(rejected.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(rejected.threshold(), Some(511));

    let handle = LoadShed::builder().build(|| 0.0).unwrap().handle();
    assert_eq!((handle.start(), handle.full()), (0.8, 1.0));
    let rejected = rejection(LoadShed::builder());
    assert_eq!(rejected.retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(rejected.threshold(), None);
}

#[test]
fn build_reports_the_first_setting_out_of_bounds() {
    let error = |start, full| {
        let builder = LoadShed::builder().between(start, full);
        builder.build(|| 0.0).unwrap_err().to_string()
    };
    assert_eq!(error(-1.0, 1.0), "start must be in 0..=1000, got -1");
    assert_eq!(
        error(0.9, 0.8),
        "full must be above start (0.9) and at most 1000, got 0.8"
    );
}

#[cfg(feature = "serde")]
#[test]
fn a_builder_is_read_and_written() {
    let read =
        |json| serde_json::from_str::<LoadShedBuilder>(json).map_err(|error| error.to_string());
    assert_eq!(read("{}"), Ok(LoadShed::builder()));
    let json = r#"{"start":0.7,"full":1.2,"retry_after":"3s","announce_threshold":true}"#;
    let builder = LoadShed::builder()
        .between(0.7, 1.2)
        .retry_after(Duration::from_secs(3))
        .announce_threshold();
    assert_eq!(read(json), Ok(builder));
    assert_eq!(serde_json::to_string(&builder).unwrap(), json);
    let error = read(r#"{"begin":0.7}"#).unwrap_err();
    assert!(error.contains("unknown field `begin`"), "{error}");
}
