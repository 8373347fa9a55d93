//! The bucket of a duration, in the layout of an `hdrhistogram` with two significant digits.

/// The smallest difference that is kept, as a power of two of a nanosecond: 16 ns, two thirds of a
/// clock read. A smaller one costs 1 KiB more per power of two and histogram
/// (`a_place_is_the_bucket_of_hdrhistogram` in `plimsoll-metrics` fails when the other constants differ from its layout).
const UNIT_BITS: u32 = 4;
/// Buckets in each power of two, as a power of two: what two significant digits need. The error is
/// below 1/128.
const HALF_BITS: u32 = 7;
/// Powers of two of the longest duration: 2^40 ns, 18 minutes.
const LONGEST_BITS: u32 = 40;

/// The unit, in nanoseconds.
pub const UNIT: u64 = 1 << UNIT_BITS;
/// The longest duration that has a bucket of its own, in nanoseconds.
pub const LONGEST: u64 = (1 << LONGEST_BITS) - 1;
/// Buckets of one octave. The first octave is linear and starts at 0.
pub const PER_OCTAVE: usize = 1 << HALF_BITS;
/// The end of the first octave: 2,048 ns.
const LINEAR_BITS: u32 = UNIT_BITS + HALF_BITS;
/// All octaves.
pub const OCTAVES: usize = (LONGEST_BITS - LINEAR_BITS + 1) as usize;

/// The bucket of a duration, counted from the shortest. Beyond all buckets for a duration above
/// [`LONGEST`].
///
/// Performance: a float has its octave and the bucket in it as exponent and mantissa, one after the
/// other; fewer instructions than counting zeros (`instructions`, `gate-metrics@accept`).
#[inline]
pub const fn index(nanos: u64) -> usize {
    /// Where `f64` keeps its exponent, and the exponent of 2^0.
    const MANTISSA_BITS: u32 = 52;
    const BIAS: u32 = 1023;
    /// What the octave before the second has there.
    const FIRST: usize = ((BIAS + LINEAR_BITS - 1) as usize) << HALF_BITS;
    if nanos < 1 << LINEAR_BITS {
        return (nanos >> UNIT_BITS) as usize;
    }
    // Exact below 2^53, and above it beyond the octaves; a negative number is, too.
    let float = (nanos as i64 as f64).to_bits();
    ((float >> (MANTISSA_BITS - HALF_BITS)) as usize).wrapping_sub(FIRST)
}

/// The octave of a duration and its bucket there. The octave is beyond [`OCTAVES`] for a duration
/// above [`LONGEST`].
#[inline]
pub const fn place(nanos: u64) -> (usize, usize) {
    let index = index(nanos);
    (index / PER_OCTAVE, index % PER_OCTAVE)
}

/// The lowest number of nanoseconds in a bucket.
pub const fn lowest(octave: usize, at: usize) -> u64 {
    match octave.checked_sub(1) {
        None => (at as u64) << UNIT_BITS,
        Some(shift) => ((PER_OCTAVE + at) as u64) << (shift as u32 + UNIT_BITS),
    }
}
