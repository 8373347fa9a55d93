//! From load to threshold: pure, in integers.

use plimsoll_core::Priority;

use crate::InvalidLoadShed;

/// Steps per load of 1: loads are compared in millionths.
const UNIT: f64 = 1e6;
/// The greatest load that can be set.
const MAX_LOAD: f64 = 1000.0;
/// The top level, which is never shed.
const TOP: u16 = Priority::LEVELS - 1;

/// The two loads between which the threshold rises, in millionths: `start < full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ramp {
    start: u32,
    full: u32,
}

impl Ramp {
    /// The default load above which requests are shed.
    pub(crate) const DEFAULT_START: f64 = 0.8;
    /// The default load from which all but the top level is shed.
    pub(crate) const DEFAULT_FULL: f64 = 1.0;
    /// From 0.8 to 1.
    pub(crate) const DEFAULT: Self = Self {
        start: (Self::DEFAULT_START * UNIT) as u32,
        full: (Self::DEFAULT_FULL * UNIT) as u32,
    };

    pub(crate) fn new(start: f64, full: f64) -> Result<Self, InvalidLoadShed> {
        if !(0.0..=MAX_LOAD).contains(&start) {
            return Err(InvalidLoadShed::Start(start));
        }
        let ramp = Self {
            start: (start * UNIT).round() as u32,
            full: (full * UNIT).round() as u32,
        };
        // A NaN `full` is in no range; one within half a millionth of `start` becomes equal by
        // rounding.
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

    /// Both loads in one word, so that a reader never sees a mixed pair.
    pub(crate) fn to_bits(self) -> u64 {
        (u64::from(self.start) << 32) | u64::from(self.full)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self {
            start: (bits >> 32) as u32,
            full: bits as u32,
        }
    }

    /// The level below which requests are shed: 0 up to `start`, 511 from `full` on, and in between
    /// 512 times the position in the ramp, rounded down. A NaN load counts as 0.
    #[inline]
    pub(crate) fn threshold(self, load: f64) -> u16 {
        // To the nearest millionth. The cast saturates, and maps NaN to 0.
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
        fn the_threshold_is_the_position_in_the_ramp_in_levels(ramp in ramps(), load in 0.0..5.0_f64) {
            let way = ((load - ramp.start()) / (ramp.full() - ramp.start())).clamp(0.0, 1.0);
            let exact = (way * 512.0).min(511.0);
            let threshold = f64::from(ramp.threshold(load));
            // Loads are integers of millionths: an error of at most two of them.
            let grain = 2.0 * 512.0 * 1e-6 / (ramp.full() - ramp.start());
            prop_assert!(threshold <= exact + grain, "{threshold} over {exact}");
            prop_assert!(threshold > exact - 1.0 - grain, "{threshold} under {exact}");
        }

        #[test]
        fn no_load_panics(ramp in ramps(), bits in any::<u64>()) {
            prop_assert!(ramp.threshold(f64::from_bits(bits)) <= TOP);
        }

        #[test]
        fn settings_round_trip(start in 0_u32..1_000_000, way in 1_u32..1_000_000) {
            let (start, full) = (f64::from(start) / 1e6, f64::from(start + way) / 1e6);
            let ramp = Ramp::new(start, full).unwrap();
            prop_assert_eq!((ramp.start(), ramp.full()), (start, full));
            prop_assert_eq!(Ramp::from_bits(ramp.to_bits()), ramp);
        }
    }

    #[test]
    fn each_criticality_is_shed_in_its_quarter_of_the_ramp() {
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
