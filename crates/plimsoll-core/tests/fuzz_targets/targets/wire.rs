//! Headers that services of a fleet exchange: priority, deadline and threshold.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Request};
use plimsoll_core::{
    ByHeader, Criticality, Deadline, Deadlines, Instant, Kind, Policy as _, Priority,
    policy::{Announcement, Prioritize as _, ReadDeadline as _, Verdict},
    support::{grpc_timeout, parse_grpc_timeout},
    wire::{self, COHORT, CRITICALITY, THRESHOLD, TIMEOUT},
};

use super::{Input, lines};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Promises of `ByHeader`:
///
/// - A level is below 512.
/// - An untrusted caller gets at most `CRITICAL` and the cohort of its key.
/// - A priority that is written to the wire is read back.
pub fn priority(data: &[u8]) -> bool {
    let mut req = Input::new(data).request(&[CRITICALITY, COHORT]);
    let trusted = ByHeader::trusted();
    let priority = trusted.priority(&req);
    assert!(priority.level() < Priority::LEVELS, "{priority:?}");
    let names = [CRITICALITY, COHORT];
    let stated = names
        .iter()
        .filter(|name| req.headers().contains_key(*name))
        .count();
    assert!(trusted.malformed() <= stated as u64);

    let untrusted = ByHeader::untrusted(|_: &Request<()>| Some("caller")).salt(7);
    let capped = untrusted.priority(&req);
    assert_eq!(
        capped.criticality(),
        priority.criticality().min(Criticality::Critical)
    );
    let cohort = untrusted.priority(&Request::new(())).cohort();
    assert_eq!(capped.cohort(), cohort, "the caller chose its cohort");

    let verdict = trusted.admit(&mut req, Instant::now());
    assert!(matches!(verdict, Verdict::Admit(())));
    let left = Priority::of(&req);
    assert_eq!(left.criticality(), priority.criticality());
    assert_eq!(left.cohort(), priority.cohort().or(left.cohort()));
    let cohort = left.cohort().expect("a cohort is drawn");
    let next = Request::builder()
        .header(CRITICALITY, left.criticality().as_str())
        .header(COHORT, format!("{cohort:03}"));
    assert_eq!(
        ByHeader::trusted().priority(&next.body(()).expect("two headers")),
        left
    );
    stated > 0 && trusted.malformed() == 0
}

/// Promises of `Deadlines`:
///
/// - A deadline is at most 99,999,999 hours away, and never later than a readable timeout.
/// - An unreadable timeout is counted.
/// - A deadline that has passed is rejected.
/// - A `grpc-timeout` that is written again is not longer, and shorter by at most a thousandth.
pub fn deadline(data: &[u8]) -> bool {
    const LONGEST: Duration = Duration::from_secs(99_999_999 * 3600);
    let mut req = Input::new(data).request(&[GRPC_TIMEOUT, TIMEOUT]);
    let (reader, now) = (Deadlines::propagated(), Instant::now());
    let deadline = reader.deadline(&req, now);
    let left = deadline.map(|deadline| deadline.remaining(now));
    assert!(left.is_none_or(|left| left <= LONGEST), "{left:?}");

    let grpc = req.headers().get(GRPC_TIMEOUT).map(HeaderValue::as_bytes);
    let grpc = grpc.and_then(parse_grpc_timeout);
    let millis = req.headers().get(TIMEOUT).map(HeaderValue::as_bytes);
    let millis = millis.filter(|line| line.len() <= 12 && line.iter().all(u8::is_ascii_digit));
    let millis = millis.and_then(|line| std::str::from_utf8(line).ok()?.parse().ok());
    let stated = [grpc, millis.map(Duration::from_millis)];
    assert_eq!(left, stated.into_iter().flatten().min());
    let names = [GRPC_TIMEOUT, TIMEOUT];
    let present = names
        .iter()
        .filter(|name| req.headers().contains_key(*name))
        .count();
    let read = stated.iter().flatten().count();
    assert_eq!(reader.malformed(), (present - read) as u64);

    match reader.admit(&mut req, now) {
        Verdict::Admit(()) => {
            assert_eq!(Deadline::of(&req), deadline);
            assert!(left.is_none_or(|left| left > Duration::ZERO));
        }
        Verdict::Reject(rejection) => {
            assert_eq!(rejection.kind(), Kind::Deadline);
            assert_eq!(left, Some(Duration::ZERO));
        }
        Verdict::Wait(never) => match never {},
    }
    if let Some(timeout) = grpc {
        written_again(timeout);
    }
    read > 0
}

fn written_again(timeout: Duration) {
    let Some(value) = grpc_timeout(timeout) else {
        assert_eq!(timeout, Duration::ZERO);
        return;
    };
    let again = parse_grpc_timeout(value.as_bytes()).expect("a written timeout can be read");
    assert!(again <= timeout, "{timeout:?} became {again:?}");
    // Rounding loses less than one unit: of at least 27,777 hours, or of more finer units.
    let lost = timeout.saturating_sub(again);
    assert!(lost <= timeout / 1_000, "{timeout:?} became {again:?}");
    assert_eq!(grpc_timeout(again), Some(value));
}

/// Promises of the threshold:
///
/// - A threshold is below 512 and the highest readable line.
/// - Announcing one never lowers another's.
pub fn threshold(data: &[u8]) -> bool {
    let input = Input::new(data);
    let mut headers = input.headers(&[THRESHOLD]);
    let read = wire::threshold(&headers);
    let numbers = lines(&headers, &THRESHOLD).into_iter().filter_map(|line| {
        let is_number = line.len() <= 3 && line.iter().all(u8::is_ascii_digit);
        is_number.then(|| std::str::from_utf8(line).ok()?.parse::<u16>().ok())?
    });
    assert_eq!(
        read,
        numbers.filter(|number| *number < Priority::LEVELS).max()
    );
    let own = u16::from(input.knob) * 2;
    for _ in 0..2 {
        Announcement::to(&mut headers).threshold(own);
        assert_eq!(wire::threshold(&headers), read.max(Some(own)));
    }
    read.is_some()
}
