//! A small copy of a histogram, kept between two scrapes.

use crate::latency::Latencies;

/// The buckets that are not empty: 16 bytes for each, of 30 KiB for all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sparse {
    nanos: u64,
    /// The lowest duration of a bucket, and its count.
    buckets: Box<[(u64, u64)]>,
}

impl Sparse {
    pub(crate) fn of(all: &Latencies) -> Self {
        Self {
            nanos: all.nanos(),
            buckets: all.recorded().collect(),
        }
    }

    /// Removes what was recorded before this copy was taken.
    pub(crate) fn subtract_from(&self, all: &mut Latencies) {
        all.subtract(self.nanos, self.buckets.iter().copied());
    }
}
