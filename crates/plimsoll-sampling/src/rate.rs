//! The rate as a function of the load: pure.

/// How much is kept, by load.
///
/// ```text
/// rate
/// base ─────────────╮
///                    ╲
///                     ╲
/// min                  ╰─────
///      0        threshold  1      load
/// ```
///
/// ```
/// use plimsoll_sampling::Rates;
///
/// let rates = Rates { base: 1.0, min: 0.2, threshold: 0.7 };
/// assert_eq!(rates.rate(0.7), 1.0);
/// assert!((rates.rate(0.85) - 0.6).abs() < 1e-9);
/// assert_eq!(rates.rate(3.0), 0.2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// The share that is kept up to the threshold: above 0, at most 1.
    pub base: f64,
    /// The share that is kept at a load of 1 and beyond it: 0 to [`base`](Self::base).
    pub min: f64,
    /// The load from which on less is kept: at least 0, below 1.
    pub threshold: f64,
}

/// Rates that are none.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRates {
    /// The base rate would keep nothing, or more than everything.
    #[error("base is {0}, but must be above 0 and at most 1")]
    Base(f64),
    /// The lowest rate is negative, or above the base rate.
    #[error("min is {min}, but must be 0 to base, which is {base}")]
    Min {
        /// The lowest rate.
        min: f64,
        /// The base rate.
        base: f64,
    },
    /// The threshold leaves no room below the full load.
    #[error("threshold is {0}, but must be at least 0 and below 1")]
    Threshold(f64),
}

impl Rates {
    /// Everything up to a load of 0.7, one in a hundred at 1: enough for counts within 2 % (two standard errors)
    /// from a million requests on.
    pub const DEFAULT: Self = Self {
        base: 1.0,
        min: 0.01,
        threshold: 0.7,
    };

    /// The share to keep at this load. A load that is not a number reads as 0.
    #[inline]
    pub fn rate(self, load: f64) -> f64 {
        let Self {
            base,
            min,
            threshold,
        } = self;
        // Also false when the load is not a number.
        if load > threshold {
            if load >= 1.0 {
                return min;
            }
            let way = (load - threshold) / (1.0 - threshold);
            // Rounding must not lead beyond either end.
            return (base - (base - min) * way).min(base).max(min);
        }
        base
    }

    pub(crate) fn check(self) -> Result<Self, InvalidRates> {
        let Self {
            base,
            min,
            threshold,
        } = self;
        // Written so that a NaN fails.
        if !(base > 0.0 && base <= 1.0) {
            return Err(InvalidRates::Base(base));
        }
        if !(min >= 0.0 && min <= base) {
            return Err(InvalidRates::Min { min, base });
        }
        if !(0.0..1.0).contains(&threshold) {
            return Err(InvalidRates::Threshold(threshold));
        }
        Ok(self)
    }

    pub(crate) fn to_words(self) -> [u64; 3] {
        [self.base, self.min, self.threshold].map(f64::to_bits)
    }

    #[inline]
    pub(crate) fn from_words(words: [u64; 3]) -> Self {
        let [base, min, threshold] = words.map(f64::from_bits);
        Self {
            base,
            min,
            threshold,
        }
    }
}

impl Default for Rates {
    /// [`Rates::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}
