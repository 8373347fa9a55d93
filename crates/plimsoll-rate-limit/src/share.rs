//! The share of its burst that a bucket holds during a warm-up.

/// A share of the burst, as a fixed-point number with 16 fractional bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(u32);

const ONE: u32 = 1 << 16;

impl Share {
    /// The whole burst.
    pub(crate) const FULL: Self = Self(ONE);

    /// The share after `gone` of a warm-up of length `over` that starts at `1 / cold`.
    ///
    /// It rises linearly, like the rate. Rounded down.
    pub(crate) fn warming(cold: u32, gone: u64, over: u64) -> Self {
        if gone >= over {
            return Self::FULL;
        }
        // 1/cold + (1 - 1/cold) * gone/over
        let (cold, gone, over) = (u128::from(cold), u128::from(gone), u128::from(over));
        let share = u128::from(ONE) * (over + (cold - 1) * gone) / (cold * over);
        Self(u32::try_from(share).unwrap_or(ONE).min(ONE))
    }

    /// This share of a time, rounded down.
    #[inline]
    pub(crate) fn of(self, time: u64) -> u64 {
        (u128::from(time) * u128::from(self.0) / u128::from(ONE)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_linearly_from_the_cold_share_to_the_full_burst() {
        let at = |gone| Share::warming(4, gone, 100).of(1000);
        assert_eq!(at(0), 250);
        assert_eq!(at(50), 625);
        assert_eq!(at(100), 1000);
        assert_eq!(at(u64::MAX), 1000);
        assert_eq!(Share::warming(1, 0, 100), Share::FULL);
    }
}
