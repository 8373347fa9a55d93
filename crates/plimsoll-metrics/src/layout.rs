//! The buckets of durations, as an `hdrhistogram` with two significant digits has them.

#[cfg(any(test, feature = "serialization"))]
pub(crate) use plimsoll_core::support::layout::OCTAVES;
pub(crate) use plimsoll_core::support::layout::{LONGEST, PER_OCTAVE, UNIT};

/// Significant digits of the equivalent `hdrhistogram`.
pub(crate) const DIGITS: u8 = 2;

/// Bucket bounds in nanoseconds: those of `http.server.request.duration` in OpenTelemetry's
/// conventions, and three finer ones below, since a service behind a gate is often faster than
/// 5 ms.
pub(crate) const BOUNDS: [u64; 17] = [
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    75_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    750_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    7_500_000_000,
    10_000_000_000,
];

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    use plimsoll_core::support::layout::{lowest, place};

    use super::*;

    fn check(histogram: &mut Histogram<u64>, nanos: u64) {
        let (octave, at) = place(nanos);
        let start = lowest(octave, at);
        assert_eq!(start, histogram.lowest_equivalent(nanos), "{nanos}");
        let next = lowest(octave + (at + 1) / PER_OCTAVE, (at + 1) % PER_OCTAVE);
        assert_eq!(next, histogram.next_non_equivalent(nanos), "{nanos}");
        // The position in its array, from how far the array reaches.
        histogram.clear();
        histogram.record(nanos).unwrap();
        let index = histogram.iter_all().position(|at| at.count_at_value() > 0);
        assert_eq!(index, Some(octave * PER_OCTAVE + at), "{nanos}");
    }

    fn histogram() -> Histogram<u64> {
        Histogram::new_with_bounds(UNIT, LONGEST, DIGITS).unwrap()
    }

    #[test]
    fn the_octaves_are_all_buckets_of_hdrhistogram() {
        assert_eq!(histogram().distinct_values(), OCTAVES * PER_OCTAVE);
    }

    #[test]
    fn both_ends_of_every_bucket_are_in_it() {
        let mut histogram = histogram();
        for octave in 0..OCTAVES {
            for at in [0, 1, 63, 126, 127] {
                let start = lowest(octave, at);
                let end = histogram.highest_equivalent(start);
                check(&mut histogram, start);
                check(&mut histogram, end);
            }
        }
    }

    #[test]
    fn a_duration_beyond_the_range_has_no_octave() {
        for nanos in [LONGEST + 1, 1 << 53, (1 << 53) + 1, 1 << 63, u64::MAX] {
            assert!(place(nanos).0 >= OCTAVES, "{nanos}");
        }
    }

    proptest! {
        #[test]
        fn a_place_is_the_bucket_of_hdrhistogram(
            nanos in (0u32..=40, any::<u64>()).prop_map(|(bits, any)| any % (1 << bits)),
        ) {
            check(&mut histogram(), nanos);
        }
    }
}
