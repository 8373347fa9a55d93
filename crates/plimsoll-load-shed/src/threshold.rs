//! From load to threshold: pure, in whole numbers.

use plimsoll_core::Priority;

use crate::InvalidLoadShed;

/// Steps in a load of 1: loads are compared in millionths.
const UNIT: f64 = 1e6;
/// The greatest load that can be set.
const MAX_LOAD: f64 = 1000.0;
/// The top level is never shed.
const TOP: u16 = Priority::LEVELS - 1;

/// The two loads between which the threshold rises, in millionths: `start < full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ramp {
    start: u32,
    full: u32,
}

impl Ramp {
    /// From 0.8 to 1.
    pub(crate) const DEFAULT: Self = Self {
        start: 800_000,
        full: 1_000_000,
    };

    pub(crate) fn new(start: f64, full: f64) -> Result<Self, InvalidLoadShed> {
        if !(0.0..=MAX_LOAD).contains(&start) {
            return Err(InvalidLoadShed::Start(start));
        }
        let ramp = Self {
            start: (start * UNIT).round() as u32,
            full: (full * UNIT).round() as u32,
        };
        // A `full` that is not a number is in no range; one that is too near becomes equal when rounded.
        if !(0.0..=MAX_LOAD).contains(&full) || ramp.full <= ramp.start {
            return Err(InvalidLoadShed::Full { start, full });
        }
        Ok(ramp)
    }

    pub(crate) fn start(self) -> f64 {
        f64::from(self.start) / UNIT
    }

    pub(crate) fn full(self) -> f64 {
        f64::from(self.full) / UNIT
    }

    /// One word, so that a reader sees a pair that somebody set.
    pub(crate) fn to_bits(self) -> u64 {
        (u64::from(self.start) << 32) | u64::from(self.full)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self {
            start: (bits >> 32) as u32,
            full: bits as u32,
        }
    }

    /// Levels below this are shed: 0 up to `start`, 511 from `full` on, and in between the whole part of 512 times
    /// the share of the way. A load that is not a number counts as 0.
    #[inline]
    pub(crate) fn threshold(self, load: f64) -> u16 {
        // To the nearest millionth. Casting saturates, and makes 0 of what is not a number.
        let load = (load * UNIT + 0.5) as u32;
        if load <= self.start {
            return 0;
        }
        self.above_start(load)
    }

    fn above_start(self, load: u32) -> u16 {
        let done = u64::from(load.min(self.full) - self.start);
        let way = u64::from(self.full - self.start);
        ((done * u64::from(Priority::LEVELS) / way) as u16).min(TOP)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use plimsoll_core::Criticality;
    use proptest::prelude::*;

    use super::*;

    fn ramps() -> impl Strategy<Value = Ramp> {
        (0.0..2.0_f64, 0.001..2.0_f64)
            .prop_map(|(start, way)| Ramp::new(start, start + way).unwrap())
    }

    proptest! {
        #[test]
        fn the_threshold_never_falls_as_the_load_rises(
            ramp in ramps(), one in 0.0..5.0_f64, other in 0.0..5.0_f64,
        ) {
            let (low, high) = (one.min(other), one.max(other));
            prop_assert!(ramp.threshold(low) <= ramp.threshold(high));
        }

        #[test]
        fn the_threshold_is_the_share_of_the_way_in_levels(ramp in ramps(), load in 0.0..5.0_f64) {
            let way = ((load - ramp.start()) / (ramp.full() - ramp.start())).clamp(0.0, 1.0);
            let exact = (way * 512.0).min(511.0);
            let threshold = f64::from(ramp.threshold(load));
            // Loads are whole millionths: off by at most what two of them make.
            let grain = 2.0 * 512.0 * 1e-6 / (ramp.full() - ramp.start());
            prop_assert!(threshold <= exact + grain, "{threshold} over {exact}");
            prop_assert!(threshold > exact - 1.0 - grain, "{threshold} under {exact}");
        }

        #[test]
        fn no_load_makes_it_panic(ramp in ramps(), bits in any::<u64>()) {
            prop_assert!(ramp.threshold(f64::from_bits(bits)) <= TOP);
        }

        #[test]
        fn what_is_set_is_what_is_read(start in 0_u32..1_000_000, way in 1_u32..1_000_000) {
            let (start, full) = (f64::from(start) / 1e6, f64::from(start + way) / 1e6);
            let ramp = Ramp::new(start, full).unwrap();
            prop_assert_eq!((ramp.start(), ramp.full()), (start, full));
            prop_assert_eq!(Ramp::from_bits(ramp.to_bits()), ramp);
        }
    }

    #[test]
    fn each_criticality_has_its_quarter_of_the_way() {
        let ramp = Ramp::new(0.8, 1.0).unwrap();
        for (load, threshold) in [
            (0.0, 0),
            (0.8, 0),
            (0.85, Priority::new(Criticality::SheddablePlus).level()),
            (0.9, Priority::new(Criticality::Critical).level()),
            (0.95, Priority::new(Criticality::CriticalPlus).level()),
            (1.0, 511),
            (7.0, 511),
            (f64::INFINITY, 511),
            (f64::NAN, 0),
            (-1.0, 0),
        ] {
            assert_eq!(ramp.threshold(load), threshold, "at load {load}");
        }
    }
}
