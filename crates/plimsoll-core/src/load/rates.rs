//! The share that sampling keeps, as a function of the load.

use std::fmt;

use crate::Live;

/// The share of requests or items that is kept, as a function of the load.
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
/// use plimsoll_core::Rates;
///
/// let rates = Rates { base: 1.0, min: 0.2, threshold: 0.7 };
/// assert_eq!(rates.rate(0.7), 1.0);
/// assert!((rates.rate(0.85) - 0.6).abs() < 1e-9);
/// assert_eq!(rates.rate(3.0), 0.2);
/// ```
///
/// With the feature `serde` it can be read from a configuration file; all fields are optional.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Rates {
    /// The share that is kept up to the threshold: above 0, at most 1.
    pub base: f64,
    /// The share that is kept from a load of 1 on: 0 to [`base`](Self::base).
    pub min: f64,
    /// The load above which the share falls: at least 0, below 1.
    pub threshold: f64,
}

/// A rate is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum InvalidRates {
    /// The base rate is not above 0 and at most 1.
    Base(f64),
    /// The lowest rate is negative, or above the base rate.
    Min {
        /// The rejected value.
        min: f64,
        /// The base rate.
        base: f64,
    },
    /// The threshold is negative, or not below 1.
    Threshold(f64),
}

impl fmt::Display for InvalidRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(base) => write!(f, "base must be in (0, 1], got {base}"),
            Self::Min { min, base } => write!(f, "min must be in 0..=base ({base}), got {min}"),
            Self::Threshold(threshold) => {
                write!(
                    f,
                    "threshold must be at least 0 and below 1, got {threshold}"
                )
            }
        }
    }
}

impl std::error::Error for InvalidRates {}

impl Rates {
    /// Everything up to a load of 0.7, one in a hundred at 1: enough for counts within 2 % (two
    /// standard errors) from a million requests.
    pub const DEFAULT: Self = Self {
        base: 1.0,
        min: 0.01,
        threshold: 0.7,
    };

    /// The share to keep at this load. A NaN load counts as 0.
    #[inline]
    pub fn rate(self, load: f64) -> f64 {
        let Self {
            base,
            min,
            threshold,
        } = self;
        // Also false when the load is NaN.
        if load > threshold {
            if load >= 1.0 {
                return min;
            }
            let way = (load - threshold) / (1.0 - threshold);
            // Rounding must not exceed either end.
            return (base - (base - min) * way).min(base).max(min);
        }
        base
    }

    fn check(self) -> Result<Self, InvalidRates> {
        let Self {
            base,
            min,
            threshold,
        } = self;
        // Written so that NaN fails.
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
}

impl Default for Rates {
    /// [`Rates::DEFAULT`].
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Rates that are read for each request or item, and changed as one.
#[derive(Debug)]
pub struct LiveRates(Live<3, 8>);

impl LiveRates {
    /// The rates.
    ///
    /// # Errors
    ///
    /// The first field that is out of bounds.
    pub fn new(rates: Rates) -> Result<Self, InvalidRates> {
        Ok(Self(Live::new(words(rates.check()?))))
    }

    /// Returns the rates in force.
    #[inline]
    pub fn get(&self) -> Rates {
        let [base, min, threshold] = self.0.read().1.map(f64::from_bits);
        Rates {
            base,
            min,
            threshold,
        }
    }

    /// Changes all rates at once.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new). On error nothing changes.
    pub fn set(&self, rates: Rates) -> Result<(), InvalidRates> {
        self.0.set(words(rates.check()?));
        Ok(())
    }
}

fn words(rates: Rates) -> [u64; 3] {
    [rates.base, rates.min, rates.threshold].map(f64::to_bits)
}
