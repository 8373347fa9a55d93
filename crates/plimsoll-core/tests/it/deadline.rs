//! Deadlines: how they are read, and how requests are rejected that cannot meet them.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Request};
use plimsoll_core::{
    Deadline, Deadlines, Kind, Policy,
    policy::{ReadDeadline, Verdict},
    support::{grpc_timeout, parse_grpc_timeout},
};
use proptest::prelude::*;
use tokio::time::Instant;

#[test]
fn grpc_timeouts_are_read_by_the_grammar() {
    for (value, timeout) in [
        ("1S", Some(Duration::from_secs(1))),
        ("100m", Some(Duration::from_millis(100))),
        ("99999999n", Some(Duration::from_nanos(99_999_999))),
        ("2H", Some(Duration::from_secs(7200))),
        ("3M", Some(Duration::from_secs(180))),
        ("7u", Some(Duration::from_micros(7))),
        ("0S", Some(Duration::ZERO)),
        ("123456789S", None),
        ("", None),
        ("S", None),
        ("5", None),
        ("1.5S", None),
        ("-1S", None),
        ("+5S", None),
        ("5s", None),
    ] {
        assert_eq!(parse_grpc_timeout(value.as_bytes()), timeout, "{value:?}");
    }
}

#[test]
fn grpc_timeouts_are_written_in_the_finest_unit_that_fits() {
    for (left, value) in [
        (Duration::ZERO, None),
        (Duration::from_nanos(1), Some("1n")),
        (Duration::from_nanos(99_999_999), Some("99999999n")),
        (Duration::from_nanos(100_000_999), Some("100000u")),
        (Duration::from_secs(100), Some("100000m")),
        (Duration::from_secs(99_999), Some("99999000m")),
        (Duration::from_secs(100_000), Some("100000S")),
        (Duration::from_secs(99_999_999), Some("99999999S")),
        (Duration::from_secs(360_000_000), Some("100000H")),
        (Duration::MAX, Some("99999999H")),
    ] {
        let written = grpc_timeout(left);
        let written = written.as_ref().map(|value| value.to_str().unwrap());
        assert_eq!(written, value, "{left:?}");
    }
}

fn read(deadlines: &Deadlines, name: &'static str, value: &[u8]) -> Option<Duration> {
    let now = Instant::now();
    let mut req = Request::new(());
    if let Ok(value) = HeaderValue::from_bytes(value) {
        req.headers_mut().insert(name, value);
    }
    deadlines
        .deadline(&req, now)
        .map(|deadline| deadline.remaining(now))
}

#[test]
fn malformed_deadlines_are_absent_and_counted() {
    let deadlines = Deadlines::new().header(HeaderName::from_static("x-timeout-ms"));
    assert_eq!(
        read(&deadlines, "x-timeout-ms", b"250"),
        Some(Duration::from_millis(250))
    );
    assert_eq!(
        read(&deadlines, "x-timeout-ms", b"999999999999"),
        Some(Duration::from_millis(999_999_999_999)),
        "12 digits"
    );
    assert_eq!(deadlines.malformed(), 0);
    for bad in ["", "abc", "-1", "1e3", "9999999999999"] {
        assert_eq!(
            read(&deadlines, "x-timeout-ms", bad.as_bytes()),
            None,
            "{bad:?}"
        );
    }
    assert_eq!(read(&deadlines, "grpc-timeout", b"5s"), None);
    assert_eq!(deadlines.malformed(), 6);
}

#[test]
fn a_header_is_read_in_addition_to_the_propagated_one() {
    let deadlines = Deadlines::propagated().header(HeaderName::from_static("x-timeout-ms"));
    for (propagated, own, earliest) in [("70", "250", 70), ("250", "70", 70), ("70", "bad", 70)] {
        let now = Instant::now();
        let req = Request::builder()
            .header("plimsoll-timeout-ms", propagated)
            .header("x-timeout-ms", own)
            .body(())
            .unwrap();
        assert_eq!(
            deadlines.deadline(&req, now),
            Deadline::after(now, Duration::from_millis(earliest)),
            "{propagated} and {own}"
        );
    }
    assert_eq!(deadlines.malformed(), 1);
    assert_eq!(
        read(&Deadlines::new(), "plimsoll-timeout-ms", b"70"),
        None,
        "not read without `propagated`"
    );
}

#[test]
fn the_earliest_deadline_counts_and_is_put_into_the_extensions() {
    let deadlines = Deadlines::new();
    let now = Instant::now();
    let mut req = Request::builder()
        .header("grpc-timeout", "2S")
        .body(())
        .unwrap();
    req.extensions_mut()
        .insert(Deadline(now + Duration::from_secs(9)));
    assert!(matches!(deadlines.admit(&mut req, now), Verdict::Admit(())));
    assert_eq!(
        Deadline::of(&req),
        Some(Deadline(now + Duration::from_secs(2)))
    );
}

#[test]
fn a_closure_reads_a_deadline_and_the_unit_reads_none() {
    let now = Instant::now();
    let in_seconds = |secs: &u64, now| Deadline::after(now, Duration::from_secs(*secs));
    assert_eq!(
        in_seconds.deadline(&3, now),
        Some(Deadline(now + Duration::from_secs(3)))
    );
    assert_eq!(().deadline(&3, now), None);
}

#[test]
fn a_deadline_check_reads_no_latency_and_announces_nothing() {
    let interests =
        Policy::<Request<()>>::interests(&Deadlines::new(), plimsoll_core::policy::Interests::ALL);
    assert_eq!(interests, plimsoll_core::policy::Interests::NONE);
}

#[test]
fn a_request_with_too_little_time_left_is_rejected() {
    let deadlines = Deadlines::new().at_least(Duration::from_millis(50));
    for (value, admitted) in [("50m", true), ("49m", false), ("0S", false), ("x", true)] {
        let mut req = Request::builder()
            .header("grpc-timeout", value)
            .body(())
            .unwrap();
        match deadlines.admit(&mut req, Instant::now()) {
            Verdict::Admit(()) => assert!(admitted, "{value}"),
            Verdict::Reject(rejection) => {
                assert!(!admitted, "{value}");
                assert_eq!(
                    (rejection.kind(), rejection.retry_after()),
                    (Kind::Deadline, None)
                );
            }
            Verdict::Wait(never) => match never {},
        }
    }
}

proptest! {
    #[test]
    fn a_written_timeout_is_never_longer_and_hardly_shorter(nanos in 1..u64::MAX) {
        let left = Duration::from_nanos(nanos);
        let read = parse_grpc_timeout(grpc_timeout(left).unwrap().as_bytes()).unwrap();
        prop_assert!(read <= left);
        // At least seven digits, or hours beyond three years.
        let cut = left.saturating_sub(read);
        prop_assert!(cut <= (left / 100_000).max(Duration::from_secs(3600)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let deadlines = Deadlines::new().header(HeaderName::from_static("x-t"));
        _ = parse_grpc_timeout(&bytes);
        _ = read(&deadlines, "x-t", &bytes);
        _ = read(&deadlines, "grpc-timeout", &bytes);
    }
}
