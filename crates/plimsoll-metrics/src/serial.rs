//! Histograms as bytes, in the format V2 of `HdrHistogram`.

use std::time::Duration;

use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};

use crate::{
    Latencies,
    filled::Filled,
    layout::{DIGITS, LONGEST, OCTAVES, PER_OCTAVE, UNIT},
};

/// Bytes before the counts: six fields.
const HEADER: usize = 40;
/// The longest encoding: each count takes at most 9 bytes.
const LONGEST_ENCODING: usize = HEADER + OCTAVES * PER_OCTAVE * 9;

/// Bytes that are not the histogram of a [`Latencies`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes must be an HdrHistogram V2 encoding as `Latencies::to_v2` makes it")]
pub struct InvalidEncoding;

impl Latencies {
    /// The histogram as bytes, in the format V2 of `HdrHistogram` without compression: for a
    /// replica that merges, or for other tools. A few kilobytes, at most 34 KiB.
    ///
    /// The format has no sum: send [`sum`](Self::sum) with it.
    pub fn to_v2(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Cannot fail: a vector accepts all bytes, and a count above `i64::MAX` does not occur.
        _ = V2Serializer::new().serialize(self.histogram(), &mut bytes);
        bytes
    }

    /// Reads what [`to_v2`](Self::to_v2) wrote, here or in another replica.
    ///
    /// The bytes may come from anywhere: reading them takes less than 128 KiB of memory, and does not
    /// panic.
    ///
    /// # Errors
    ///
    /// [`InvalidEncoding`] when the bytes are malformed, have other bounds or another precision, or
    /// more than one histogram.
    pub fn from_v2(bytes: &[u8], sum: Duration) -> Result<Self, InvalidEncoding> {
        if bytes.len() > LONGEST_ENCODING || !has_header_of_ours(bytes) {
            return Err(InvalidEncoding);
        }
        let mut rest = bytes;
        let read = Deserializer::new().deserialize(&mut rest);
        let histogram = read.map_err(|_| InvalidEncoding)?;
        if !rest.is_empty() {
            return Err(InvalidEncoding);
        }
        let mut filled = Filled::default();
        for bucket in histogram.iter_recorded() {
            let start = histogram.lowest_equivalent(bucket.value_iterated_to());
            filled.push(start, bucket.count_at_value());
        }
        let nanos = u64::try_from(sum.as_nanos()).unwrap_or(u64::MAX);
        Ok(Self::new(nanos, filled))
    }
}

/// Whether the fields before the counts are those of every [`Latencies`]: the deserializer
/// allocates what they ask for.
fn has_header_of_ours(bytes: &[u8]) -> bool {
    /// V2 without compression, with counts of variable length.
    const COOKIE: u32 = 0x1c84_9303 | 0x10;
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return false;
    };
    let length = bytes.len() - HEADER;
    let mut ours = Vec::with_capacity(HEADER);
    ours.extend(COOKIE.to_be_bytes());
    ours.extend((length as u32).to_be_bytes());
    // No offset of the counts.
    ours.extend(0_u32.to_be_bytes());
    ours.extend(u32::from(DIGITS).to_be_bytes());
    ours.extend(UNIT.to_be_bytes());
    ours.extend(LONGEST.to_be_bytes());
    // The unit is one nanosecond.
    ours.extend(1_f64.to_be_bytes());
    ours == header
}
