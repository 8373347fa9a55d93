//! When a rejected caller should retry.

use std::{cell::Cell, time::Duration};

use crate::{Kind, Rejection, allowance::whole_seconds};

/// Shortest period over which retries to a full server are spread, in seconds.
///
/// Two, because `retry-after` has whole seconds: with less, all callers would retry in the same
/// second. With more, gRPC callers that could retry within their deadline would be rejected for
/// good. `retries_after_a_full_server_are_spread_over_seconds` fails when it is less.
const LEAST_SPREAD_SECS: u64 = 2;

/// Returns when to retry, in units of `1 / per_sec` seconds, to which `round_up` rounds.
///
/// This is the policy's value if exact, or a spread one if it is an estimate. `None`: no wait is
/// known to help.
pub(in crate::protocol) fn hint(
    rejection: &Rejection,
    round_up: fn(Duration) -> u64,
    per_sec: u64,
) -> Option<u64> {
    let wait = round_up(rejection.retry_after()?);
    match rejection.kind() {
        Kind::Deadline | Kind::Skipped => None,
        _ if rejection.is_estimate() => Some(spread(wait, LEAST_SPREAD_SECS * per_sec)),
        Kind::OverQuota | Kind::CircuitOpen | Kind::Full => Some(wait),
    }
}

/// Spreads evenly from `first` to `2 * first`, or over `least` units if that is wider.
///
/// Offsets form a golden-ratio sequence (one per thread, from a random start): each falls into the
/// widest gap between earlier ones. With random offsets, the fullest of 300 seconds would get three
/// times the mean of 1,000 retries.
fn spread(first: u64, least: u64) -> u64 {
    /// Distance between successive offsets, in 2^64ths of the period: 2^64 over the golden ratio.
    /// It spreads any number of offsets evenly; the test named above fails with 0 or a half.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    thread_local! {
        static PLACE: Cell<u64> = Cell::new(fastrand::u64(..));
    }
    let place = PLACE.get().wrapping_add(STEP);
    PLACE.set(place);
    // The high half of a product with a 64-bit fraction avoids a division.
    let extra = (u128::from(first.max(least)) * u128::from(place)) >> 64;
    first.saturating_add(extra as u64)
}

/// Rounds up to whole seconds for `Retry-After`, at least one.
pub(super) fn retry_after_secs(wait: Duration) -> u64 {
    whole_seconds(wait).max(1)
}
