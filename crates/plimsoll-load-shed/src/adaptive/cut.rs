//! The threshold between admitted and shed requests. Pure.

use plimsoll_core::Priority;

/// Number of priority levels.
pub(crate) const LEVELS: usize = Priority::LEVELS as usize;
/// The highest level, which is never shed.
const TOP: u16 = Priority::LEVELS - 1;

/// A threshold: all levels below `level` are shed, and a share of `part` / 65,536 of the level
/// itself.
///
/// Without `part` the threshold would be too coarse: at 12 times the capacity one of 512 levels can
/// be a tenth of the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    level: u16,
    part: u16,
}

impl Cut {
    /// Sheds nothing.
    pub(crate) const OPEN: Self = Self { level: 0, part: 0 };

    /// Returns the threshold that admits `budget` requests per second, highest levels first, when
    /// `rates` arrive of each level.
    pub(crate) fn filling(rates: &[f64; LEVELS], budget: f64) -> Self {
        let mut left = budget;
        for (level, rate) in (0..Priority::LEVELS).zip(rates).rev() {
            if *rate > left {
                let part = (65_536.0 * (1.0 - left / rate)) as u16;
                return Self {
                    level,
                    part: if level == TOP { 0 } else { part },
                };
            }
            left -= rate;
        }
        Self::OPEN
    }

    /// The level below which all requests are shed.
    pub(crate) fn level(self) -> u16 {
        self.level
    }

    /// Returns whether to shed a request of this level: at random in the threshold's own level.
    #[inline]
    pub(crate) fn sheds(self, level: u16) -> bool {
        level < self.level
            || (level == self.level && self.part > 0 && fastrand::u16(..) < self.part)
    }

    pub(crate) fn to_bits(self) -> u32 {
        u32::from(self.level) << 16 | u32::from(self.part)
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        Self {
            level: (bits >> 16) as u16,
            part: bits as u16,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rates() -> impl Strategy<Value = [f64; LEVELS]> {
        prop::collection::vec((0_usize..LEVELS, 0.0..50.0_f64), 0..40).prop_map(|given| {
            let mut rates = [0.0; LEVELS];
            for (level, rate) in given {
                rates[level] += rate;
            }
            rates
        })
    }

    proptest! {
        #[test]
        fn admitted_requests_fill_the_budget(rates in rates(), share in 0.0..1.5_f64) {
            let budget = share * rates.iter().sum::<f64>();
            let cut = Cut::filling(&rates, budget);
            let at = usize::from(cut.level);
            let above: f64 = rates[at + 1..].iter().sum();
            let admitted = above + rates[at] * (1.0 - f64::from(cut.part) / 65_536.0);
            let possible: f64 = rates.iter().sum();
            // The top level is admitted at any budget.
            let expected = budget.min(possible).max(rates[511]);
            prop_assert!((admitted - expected).abs() < 0.01, "{admitted} instead of {expected}");
        }

        #[test]
        fn a_larger_budget_never_sheds_more(rates in rates(), one in 0.0..900.0_f64, other in 0.0..900.0_f64) {
            let key = |budget| {
                let cut = Cut::filling(&rates, budget);
                (cut.level, cut.part)
            };
            prop_assert!(key(one.max(other)) <= key(one.min(other)));
        }

        #[test]
        fn a_stored_threshold_is_read_back(level in 0_u16..512, part in any::<u16>()) {
            let cut = Cut { level, part };
            prop_assert_eq!(Cut::from_bits(cut.to_bits()), cut);
        }
    }

    #[test]
    fn the_top_level_is_never_shed() {
        let mut rates = [0.0; LEVELS];
        rates[511] = 1000.0;
        let cut = Cut::filling(&rates, 0.0);
        assert!((0..1000).all(|_| !cut.sheds(511)));
        assert!(cut.sheds(510));
    }
}
