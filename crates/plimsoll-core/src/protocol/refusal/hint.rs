//! When a rejected caller may come back.

use std::{cell::Cell, time::Duration};

use crate::{Kind, Rejection, allowance::whole_seconds};

/// Least stretch of time over which the returns to a full server are spread, in seconds.
///
/// Two: `retry-after` has whole seconds, so with less all callers would come back in the same one;
/// with more, gRPC callers that could come back within their deadline would be kept away.
/// `a_crowd_that_a_full_server_rejects_comes_back_spread_over_seconds` fails when it is less.
const LEAST_SPREAD_SECS: u64 = 2;

/// When to come back, in units of which a second has `per_sec` and to which `round_up` rounds: the
/// policy's own figure, or a later one, spread, where that is an estimate. `None`: no wait is known to help.
pub(in crate::protocol) fn hint(
    rejection: &Rejection,
    round_up: fn(Duration) -> u64,
    per_sec: u64,
) -> Option<u64> {
    let wait = round_up(rejection.wait()?);
    match rejection.kind() {
        Kind::Deadline | Kind::Skipped => None,
        _ if rejection.is_estimate() => Some(spread(wait, LEAST_SPREAD_SECS * per_sec)),
        Kind::OverQuota | Kind::CircuitOpen | Kind::Full => Some(wait),
    }
}

/// Evenly from `first` to before twice `first`, or over `least` units where that is wider.
///
/// The places are a golden-ratio sequence (one per thread, from a random start): each falls into
/// the widest gap between those before it. With random places, the fullest of 300 seconds would
/// get three times the mean of 1,000 returns.
fn spread(first: u64, least: u64) -> u64 {
    /// How far apart places follow each other, in 2^64ths of the stretch: 2^64 over the golden ratio,
    /// which keeps any number of places even. The test named above fails with 0, or with a half.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    thread_local! {
        static PLACE: Cell<u64> = Cell::new(fastrand::u64(..));
    }
    let place = PLACE.get().wrapping_add(STEP);
    PLACE.set(place);
    // The high half of a product with a 64-bit fraction: no division.
    let extra = (u128::from(first.max(least)) * u128::from(place)) >> 64;
    first.saturating_add(extra as u64)
}

/// Whole seconds for `Retry-After`: rounded up, and at least one.
pub(super) fn retry_after_secs(wait: Duration) -> u64 {
    whole_seconds(wait).max(1)
}
