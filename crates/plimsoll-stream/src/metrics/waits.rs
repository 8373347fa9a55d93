//! The waits of a queue as a histogram.

use plimsoll_metrics::Distribution;

use crate::WaitTimes;

/// The first bound and the last one, as powers of two in nanoseconds: 1 µs and 275 s.
const FIRST: u32 = 10;
const LAST: u32 = 38;

/// The bounds in nanoseconds: powers of four, which are also bounds of [`WaitTimes`], so that the
/// counts are exact.
fn nanos() -> impl Iterator<Item = u64> {
    (FIRST..=LAST).step_by(2).map(|power| 1 << power)
}

pub(super) fn bounds() -> Vec<f64> {
    nanos().map(|bound| bound as f64 / 1e9).collect()
}

/// All 0 without waits.
pub(super) fn distribution(waits: Option<&WaitTimes>) -> Distribution {
    let mut counts = vec![0; nanos().count() + 1];
    for (longest, count) in waits.into_iter().flat_map(WaitTimes::buckets) {
        let longest = longest.as_nanos();
        let at = nanos().take_while(|bound| longest > u128::from(*bound));
        if let Some(sum) = counts.get_mut(at.count()) {
            *sum += count;
        }
    }
    let sum = waits.map_or(0.0, |waits| waits.estimated_sum().as_secs_f64());
    Distribution { counts, sum }
}
