//! Bounds that several settings and their errors share.

use std::time::Duration;

/// The longest period, and the longest refill time of a burst: 365 days, below 2^55 nanoseconds.
pub(crate) const MAX_PERIOD: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The largest `cold` of a warm-up: a start at a thousandth of the rate.
pub(crate) const MAX_COLD: u32 = 1000;
