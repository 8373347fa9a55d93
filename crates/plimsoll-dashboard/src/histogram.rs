//! Histograms in the JSON between peers: the sum in nanoseconds, and pairs of duration and count.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::sparse::Sparse;

/// The JSON of a [`Sparse`].
#[derive(Serialize, Deserialize)]
pub(crate) struct Parts {
    nanos: u64,
    buckets: Vec<(u64, u64)>,
}

impl Parts {
    pub(crate) fn serialize<S: Serializer>(of: &Sparse, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Borrowed<'a> {
            nanos: u64,
            buckets: &'a [(u64, u64)],
        }
        let (nanos, buckets) = (of.nanos(), of.buckets());
        Borrowed { nanos, buckets }.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Sparse, D::Error> {
        let parts = <Self as Deserialize>::deserialize(from)?;
        Sparse::from_parts(&parts.buckets, parts.nanos)
            .ok_or_else(|| D::Error::custom("not a histogram of durations"))
    }
}
