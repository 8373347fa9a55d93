//! How fast a bucket is refilled while it warms up, as a share of its rate.

/// The inverse of a share of the rate, as a fixed-point number of 16 bits: how many times longer a token takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace(u32);

const ONE: u32 = 1 << 16;

impl Pace {
    /// The whole rate.
    pub(crate) const FULL: Self = Self(ONE);

    /// The pace at `gone` of `over` of a warm-up that began at the `cold`-th part of the rate: the rate rises in
    /// a straight line.
    pub(crate) fn warming(cold: u32, gone: u64, over: u64) -> Self {
        if gone >= over {
            return Self::FULL;
        }
        // rate(gone) = 1/cold + (1 - 1/cold) * gone/over, and the pace is its inverse.
        let (cold, gone, over) = (u128::from(cold), u128::from(gone), u128::from(over));
        let longer = (u128::from(ONE) * cold * over).div_ceil(over + (cold - 1) * gone);
        Self(u32::try_from(longer).unwrap_or(u32::MAX).max(ONE))
    }

    /// The time that a token takes, at this pace.
    #[inline]
    pub(crate) fn stretch(self, increment: u64) -> u64 {
        let stretched = (u128::from(increment) * u128::from(self.0)).div_ceil(u128::from(ONE));
        u64::try_from(stretched).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_from_a_part_of_the_rate_to_all_of_it() {
        let at = |gone| Pace::warming(3, gone, 100).stretch(1000);
        assert_eq!(at(0), 3000);
        assert_eq!(at(50), 1500, "two thirds of the rate");
        assert_eq!(at(100), 1000);
        assert_eq!(at(u64::MAX), 1000);
        assert_eq!(Pace::warming(1, 0, 100), Pace::FULL);
    }
}
