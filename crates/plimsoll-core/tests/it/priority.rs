//! Criticalities, cohorts, and who may claim them.

use http::{HeaderName, HeaderValue, Request};
use plimsoll_core::{ByHeader, Criticality, Policy as _, Prioritize as _, Priority, Verdict};
use proptest::prelude::*;
use tokio::time::Instant;

#[test]
fn levels_are_ordered_by_criticality_first() {
    let mut levels = Vec::new();
    for criticality in Criticality::ALL {
        let cohorts = (0..2000).map(|user| {
            Priority::new(criticality)
                .cohort_of(u32::to_le_bytes(user), 7)
                .level()
        });
        let (low, high) = (cohorts.clone().min().unwrap(), cohorts.max().unwrap());
        levels.push((low, high));
        assert_eq!(high - low, 127, "all cohorts are used");
    }
    assert_eq!(levels, [(0, 127), (128, 255), (256, 383), (384, 511)]);
}

#[test]
fn a_users_requests_share_a_cohort_until_the_salt_changes() {
    let of = |user: &str, salt| Priority::default().cohort_of(user, salt).cohort().unwrap();
    assert_eq!(of("alice", 1), of("alice", 1));
    let moved = (0..256)
        .filter(|salt| of("alice", *salt) != of("alice", *salt + 1))
        .count();
    assert!(moved > 240, "{moved}");
    // The same in every process and version: services have to agree.
    assert_eq!([of("alice", 1), of("bob", 1), of("carol", 2)], GOLDEN);
}

const GOLDEN: [u8; 3] = [88, 96, 29];

#[test]
fn cohorts_are_spread_evenly() {
    let mut counts = [0_u32; 128];
    for user in 0..128_000_u32 {
        counts[usize::from(
            Priority::default()
                .cohort_of(user.to_le_bytes(), 0)
                .cohort()
                .unwrap(),
        )] += 1;
    }
    // 1000 each; 6 standard deviations are 190.
    assert!(
        counts.iter().all(|count| count.abs_diff(1000) < 190),
        "{counts:?}"
    );
}

#[test]
fn a_header_may_claim_no_more_than_the_ceiling() {
    let by_header =
        ByHeader::new(HeaderName::from_static("criticality")).ceiling(Criticality::Critical);
    for (value, criticality) in [
        ("SHEDDABLE", Criticality::Sheddable),
        ("sheddable_plus", Criticality::SheddablePlus),
        ("CRITICAL", Criticality::Critical),
        ("CRITICAL_PLUS", Criticality::Critical),
        ("VERY_IMPORTANT", Criticality::Critical),
    ] {
        let req = Request::builder()
            .header("criticality", value)
            .body(())
            .unwrap();
        assert_eq!(
            by_header.priority(&req).criticality(),
            criticality,
            "{value}"
        );
    }
    assert_eq!(by_header.malformed(), 1);
}

#[test]
fn a_priority_that_was_passed_on_is_read_as_it_was() {
    let by_header = ByHeader::passed_on();
    let read = |criticality: &str, cohort: &str| {
        let req = Request::builder()
            .header("plimsoll-criticality", criticality)
            .header("plimsoll-cohort", cohort)
            .body(())
            .unwrap();
        by_header.priority(&req)
    };
    let batch = Priority::new(Criticality::Sheddable);
    assert_eq!(read("SHEDDABLE", "0"), batch.in_cohort(0));
    assert_eq!(read("SHEDDABLE", "127"), batch.in_cohort(127));
    assert_eq!(read("SHEDDABLE", "128"), batch);
    assert_eq!(read("SHEDDABLE", "-1"), batch);
    assert_eq!(by_header.malformed(), 2);
}

#[test]
fn as_a_policy_a_header_leaves_a_priority_with_a_cohort() {
    let by_header = ByHeader::passed_on();
    let marked = |req: &mut Request<()>| {
        let verdict = by_header.admit(req, Instant::now());
        assert!(matches!(verdict, Verdict::Admit(())));
        Priority::of(req)
    };
    let mut req = Request::builder()
        .header("plimsoll-criticality", "SHEDDABLE")
        .body(())
        .unwrap();
    let priority = marked(&mut req);
    assert_eq!(priority.criticality(), Criticality::Sheddable);
    assert!(priority.cohort().is_some(), "one was drawn");
    assert_eq!(marked(&mut req), priority, "and stays");

    let set = Priority::new(Criticality::CriticalPlus).in_cohort(3);
    req.extensions_mut().insert(set);
    assert_eq!(marked(&mut req), set, "what code has said stays");
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let by_header = ByHeader::new(HeaderName::from_static("c"))
            .cohort(HeaderName::from_static("c"), 1);
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let req = Request::builder().header("c", value).body(()).unwrap();
            prop_assert!(by_header.priority(&req).level() < Priority::LEVELS);
        }
    }
}
