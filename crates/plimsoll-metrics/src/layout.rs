//! The bucket of a duration, in the layout of an `hdrhistogram` with two significant digits.

/// The smallest difference that is kept, as a power of two of a nanosecond: 16 ns, two thirds of a
/// clock read. A smaller one costs 1 KiB more per power of two and histogram
/// (`a_place_is_the_bucket_of_hdrhistogram` fails when the other constants differ from its layout).
pub(crate) const UNIT_BITS: u32 = 4;
/// Buckets in each power of two, as a power of two: what two significant digits need. The error is
/// below 1/128.
const HALF_BITS: u32 = 7;
/// Powers of two of the longest duration: 2^40 ns, 18 minutes.
const LONGEST_BITS: u32 = 40;

/// The unit, in nanoseconds.
pub(crate) const UNIT: u64 = 1 << UNIT_BITS;
/// The longest duration that has a bucket of its own, in nanoseconds.
pub(crate) const LONGEST: u64 = (1 << LONGEST_BITS) - 1;
/// Significant digits of the equivalent `hdrhistogram`.
pub(crate) const DIGITS: u8 = 2;

/// Buckets of one octave. The first octave is linear and starts at 0.
pub(crate) const PER_OCTAVE: usize = 1 << HALF_BITS;
/// The end of the first octave: 2,048 ns.
const LINEAR_BITS: u32 = UNIT_BITS + HALF_BITS;
/// All octaves.
pub(crate) const OCTAVES: usize = (LONGEST_BITS - LINEAR_BITS + 1) as usize;

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

/// The octave of a duration and its bucket there. The octave is beyond [`OCTAVES`] for a duration
/// above [`LONGEST`].
///
/// Performance: a float has its octave and the place in it as exponent and mantissa; six
/// instructions fewer than counting zeros (`instructions`, `gate-metrics@accept`).
#[inline]
pub(crate) const fn place(nanos: u64) -> (usize, usize) {
    /// Where `f64` keeps its exponent, and the exponent of 2^0.
    const MANTISSA_BITS: u32 = 52;
    const BIAS: u32 = 1023;
    if nanos < 1 << LINEAR_BITS {
        return (0, (nanos >> UNIT_BITS) as usize);
    }
    // Exact below 2^53, and above it beyond the octaves; a negative number is, too.
    let float = (nanos as i64 as f64).to_bits();
    let octave = (float >> MANTISSA_BITS).wrapping_sub((BIAS + LINEAR_BITS - 1) as u64);
    let at = (float >> (MANTISSA_BITS - HALF_BITS)) as usize % PER_OCTAVE;
    (octave as usize, at)
}

/// The lowest number of nanoseconds in a bucket.
pub(crate) const fn lowest(octave: usize, at: usize) -> u64 {
    match octave.checked_sub(1) {
        None => (at as u64) << UNIT_BITS,
        Some(shift) => ((PER_OCTAVE + at) as u64) << (shift as u32 + UNIT_BITS),
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

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
