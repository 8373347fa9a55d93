//! Criticalities and cohorts, and which callers may state them.

use http::{HeaderName, HeaderValue, Request};
use plimsoll_core::{
    ByExtension, ByHeader, ClientIp, Criticality, HeaderKey, Policy as _, Priority, Same,
    key::PeerAddr,
    policy::{Prioritize, Verdict},
    wire,
};
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
    // Services have to agree in every process and version.
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
fn a_stated_criticality_is_capped_at_the_ceiling() {
    let by_header = ByHeader::trusted()
        .criticality_header(HeaderName::from_static("criticality"))
        .ceiling(Criticality::Critical);
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
fn the_priority_stated_by_a_trusted_caller_is_used() {
    let by_header = ByHeader::trusted();
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

/// A request from the peer `192.0.2.last` with these header lines.
fn from_peer(last: u8, lines: &[(&str, &str)]) -> Request<()> {
    let mut req = Request::builder();
    for (name, value) in lines {
        req = req.header(*name, *value);
    }
    let mut req = req.body(()).unwrap();
    req.extensions_mut()
        .insert(PeerAddr(([192, 0, 2, last], 1).into()));
    req
}

#[test]
fn an_untrusted_caller_cannot_choose_its_cohort() {
    let forged = [
        ("plimsoll-criticality", "CRITICAL_PLUS"),
        ("plimsoll-cohort", "127"),
    ];
    for by_header in [
        ByHeader::untrusted(ClientIp::peer()).salt(3),
        ByHeader::trusted()
            .ceiling(Criticality::Critical)
            .cohort_from(ClientIp::peer())
            .salt(3),
    ] {
        for peer in 0..=255 {
            let honest = by_header.priority(&from_peer(peer, &[]));
            let forger = by_header.priority(&from_peer(peer, &forged));
            assert_eq!(forger, honest, "peer {peer}");
            assert_eq!(forger.criticality(), Criticality::Critical);
            let hashed = Priority::default().cohort_of([192, 0, 2, peer], 3);
            assert_eq!(forger, hashed, "the hash that other services compute");
        }
        assert_eq!((by_header.malformed(), by_header.missing()), (0, 0));
    }
}

#[test]
fn a_ceiling_without_a_key_gives_no_cohort() {
    let by_header = ByHeader::trusted().ceiling(Criticality::SheddablePlus);
    let req = from_peer(1, &[("plimsoll-cohort", "127")]);
    let read = by_header.priority(&req);
    assert_eq!(read, Priority::new(Criticality::SheddablePlus));
}

#[test]
fn an_untrusted_caller_without_a_key_is_counted_and_has_no_cohort() {
    let by_header = ByHeader::untrusted(HeaderKey::from_static("x-tenant"));
    let req = from_peer(1, &[("plimsoll-cohort", "127")]);
    assert_eq!(by_header.priority(&req).cohort(), None);
    assert_eq!(by_header.missing(), 1);
}

#[test]
fn default_salts_are_random_and_a_set_salt_is_used() {
    let cohorts = |by_header: ByHeader<ClientIp>| {
        let of = |peer| by_header.priority(&from_peer(peer, &[])).cohort();
        (0..64).map(of).collect::<Vec<_>>()
    };
    let drawn = || cohorts(ByHeader::untrusted(ClientIp::peer()));
    assert_ne!(drawn(), drawn());
    let set = || cohorts(ByHeader::untrusted(ClientIp::peer()).salt(1));
    assert_eq!(set(), set());
}

#[test]
fn repeated_lines_count_as_malformed() {
    let by_header = ByHeader::trusted();
    let both = [
        ("plimsoll-criticality", "CRITICAL_PLUS"),
        ("plimsoll-criticality", "SHEDDABLE"),
        ("plimsoll-cohort", "127"),
        ("plimsoll-cohort", "3"),
    ];
    assert_eq!(
        by_header.priority(&from_peer(1, &both)),
        Priority::default()
    );
    assert_eq!(by_header.malformed(), 2);
}

#[test]
fn a_priority_in_the_extensions_overrides_the_headers() {
    let set = Priority::new(Criticality::CriticalPlus).in_cohort(3);
    let mut req = from_peer(1, &[("plimsoll-criticality", "SHEDDABLE")]);
    req.extensions_mut().insert(set);
    assert_eq!(ByHeader::trusted().priority(&req), set);
    assert_eq!(ByHeader::untrusted(ClientIp::peer()).priority(&req), set);
}

#[test]
fn as_a_policy_it_puts_a_priority_with_a_cohort_into_the_extensions() {
    let by_header = ByHeader::trusted();
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
    assert!(priority.cohort().is_some(), "a cohort was drawn");
    assert_eq!(marked(&mut req), priority, "the drawn cohort stays");

    let set = Priority::new(Criticality::CriticalPlus).in_cohort(3);
    req.extensions_mut().insert(set);
    assert_eq!(marked(&mut req), set, "a priority in the extensions stays");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else {
            return Ok(());
        };
        let req = Request::builder()
            .header("plimsoll-criticality", &value)
            .header("plimsoll-cohort", &value)
            .body(())
            .unwrap();
        let key = || HeaderKey(wire::COHORT);
        let trusted = ByHeader::trusted().cohort_from(key());
        prop_assert!(trusted.priority(&req).level() < Priority::LEVELS);
        let untrusted = ByHeader::untrusted(key()).salt(7);
        let read = untrusted.priority(&req);
        prop_assert!(read.criticality() <= Criticality::Critical);
        if !bytes.is_empty() {
            // The model: the cohort of the key's bytes, whatever else the request contains.
            prop_assert_eq!(read.cohort(), Priority::default().cohort_of(&bytes, 7).cohort());
        }
    }
}

#[test]
fn a_criticality_prints_as_in_its_header() {
    for criticality in Criticality::ALL {
        assert_eq!(criticality.to_string(), criticality.as_str());
        assert_eq!(Priority::from(criticality), Priority::new(criticality));
    }
}

#[test]
fn a_priority_is_read_by_a_closure_from_extensions_or_is_the_same_for_all() {
    fn read(reader: &impl Prioritize<Request<()>>, req: &Request<()>) -> Priority {
        reader.priority(req)
    }
    let low = Priority::new(Criticality::Sheddable).in_cohort(7);
    let mut req = Request::new(());
    assert_eq!(read(&ByExtension, &req), Priority::default());
    req.extensions_mut().insert(low);
    assert_eq!(read(&ByExtension, &req), low);
    assert_eq!(read(&Same(low), &Request::new(())), low);
    assert_eq!(read(&|_: &Request<()>| low, &Request::new(())), low);
}
