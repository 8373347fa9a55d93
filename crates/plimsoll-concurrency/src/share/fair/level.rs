//! The level of the water: a pure state machine.

/// Of the limit, what is kept free for keys below the level while some of them found it full.
const HEADROOM: f64 = 0.02;
/// What is spare is given out in so many steps: mice come in swarms, and each refused one costs more than a slot left idle for
/// a moment.
const STEPS: u32 = 4;
/// Below 1 keys take turns; so far.
const LOWEST: f64 = 1.0 / 64.0;
/// Intervals without a key squeezed out after which the headroom is lent as well.
const CALM: u32 = 200;

/// What was seen between two adjustments, of requests that came while the limit was nearly full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// In flight and in the queue, now.
    pub(super) inside: u32,
    /// The limit, now.
    pub(super) limit: u32,
    /// A key with less than others found the limit full.
    pub(super) squeezed: bool,
    /// The most that any key has in flight.
    pub(super) highest: u32,
    /// Keys refused that had just reached the level.
    pub(super) at_level: u32,
    /// Keys refused that had more: calls of theirs have to end before the level means anything to them.
    pub(super) above: u32,
    /// The least in flight of a key that was refused.
    pub(super) lowest_refused: u32,
}

/// How many requests a key may have in flight. Infinite until a key is squeezed out by others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub(super) height: f64,
    /// Intervals since a key was squeezed out, up to [`CALM`].
    pub(super) calm: u32,
}

impl Level {
    pub(super) const NONE: Self = Self {
        height: f64::INFINITY,
        calm: CALM,
    };

    /// The level for the next interval.
    ///
    /// The water-fill level is where the sum of `min(demand, level)` is what there is to give. The sum's slope is
    /// the number of keys at the level, which makes this Newton's method: no key's demand is asked for, only how many want more.
    pub(super) fn next(self, seen: &Seen) -> Self {
        let calm = if seen.squeezed {
            0
        } else {
            (self.calm + 1).min(CALM)
        };
        let share = if calm < CALM { 1.0 - HEADROOM } else { 1.0 };
        // Whoever was squeezed out found it full, whatever has ended since.
        let inside = if seen.squeezed {
            seen.inside.max(seen.limit)
        } else {
            seen.inside
        };
        let spare = f64::from(seen.limit) * share - f64::from(inside);
        let height = if spare > 0.0 {
            self.raised(seen, spare)
        } else if seen.squeezed {
            self.lowered(seen, -spare)
        } else {
            self.height
        };
        let height = if calm == CALM && height >= f64::from(seen.limit) {
            f64::INFINITY
        } else {
            height.max(LOWEST)
        };
        Self { height, calm }
    }

    fn raised(self, seen: &Seen, spare: f64) -> f64 {
        match seen.at_level + seen.above {
            0 => self.height,
            // Up to the lowest of the refused nobody gets more by it.
            keys => {
                self.height.max(f64::from(seen.lowest_refused)) + spare / f64::from(STEPS * keys)
            }
        }
    }

    fn lowered(self, seen: &Seen, excess: f64) -> f64 {
        let lower = |from: f64, keys: u32| (from - excess / f64::from(keys)).max(from / 2.0);
        match (seen.at_level, seen.above) {
            // It holds nobody back: it comes down to the highest.
            (0, 0) => lower(self.height.min(f64::from(seen.highest)), 1),
            // It has not taken effect yet.
            (0, _) => self.height,
            (keys, _) => lower(self.height, keys),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Where the sum of `min(demand, level)` is `total`.
    fn water_fill(demands: &[u32], total: f64) -> f64 {
        let (mut low, mut high) = (0.0, total);
        for _ in 0..60 {
            let level = f64::midpoint(low, high);
            let sum: f64 = demands.iter().map(|&want| level.min(f64::from(want))).sum();
            if sum > total {
                high = level;
            } else {
                low = level;
            }
        }
        low
    }

    /// What a level sees of keys that want so much, when calls end and begin at once. Of a limit that is full those who want more get
    /// more, as far as the level lets them.
    fn seen(level: Level, demands: &[u32], limit: u32) -> Seen {
        let sum_of = |luck: f64| -> f64 {
            let got = |&want: &u32| level.height.min(luck * f64::from(want));
            demands.iter().map(got).sum()
        };
        let full = sum_of(1.0) > f64::from(limit);
        let (mut low, mut luck) = (0.0, 1.0);
        while full && luck - low > 1e-6 {
            let half = f64::midpoint(low, luck);
            if sum_of(half) > f64::from(limit) {
                luck = half;
            } else {
                low = half;
            }
        }
        let wants = demands.iter().map(|&want| luck * f64::from(want));
        let held = wants.clone().filter(|&want| want > level.height).count();
        Seen {
            inside: sum_of(luck) as u32,
            limit,
            squeezed: full,
            highest: wants.fold(0.0, f64::max).min(level.height) as u32,
            at_level: held as u32,
            above: 0,
            lowest_refused: level.height as u32,
        }
    }

    proptest! {
        #[test]
        fn it_settles_where_the_water_does(
            demands in proptest::collection::vec(1..500_u32, 2..20),
            limit in 50..1000_u32,
        ) {
            let sum: u32 = demands.iter().sum();
            prop_assume!(sum > limit + limit / 20);
            let mut level = Level::NONE;
            for _ in 0..150 {
                level = level.next(&seen(level, &demands, limit));
            }
            // Before it is calm for long, and the headroom is lent.
            let low = water_fill(&demands, 0.93 * f64::from(limit));
            let high = water_fill(&demands, 1.01 * f64::from(limit)) + 1.0;
            prop_assert!((low..=high).contains(&level.height), "{level:?} not in {low} to {high}");
        }

        #[test]
        fn it_has_a_bottom(seen in proptest::collection::vec(
            (0..3000_u32, 1..2000_u32, any::<bool>(), 0..2000_u32, 0..50_u32, 0..50_u32, 0..2000_u32), 1..100,
        )) {
            let mut level = Level::NONE;
            for (inside, limit, squeezed, highest, at_level, above, lowest_refused) in seen {
                level = level.next(&Seen { inside, limit, squeezed, highest, at_level, above, lowest_refused });
                prop_assert!(level.height >= LOWEST);
            }
        }
    }

    #[test]
    fn calls_that_have_to_end_first_do_not_lower_it_further() {
        let level = Level {
            height: 40.0,
            calm: 0,
        };
        let draining = Seen {
            inside: 100,
            limit: 100,
            squeezed: true,
            highest: 60,
            above: 1,
            lowest_refused: 60,
            ..Seen::default()
        };
        assert_eq!(level.next(&draining).height.to_bits(), 40_f64.to_bits());
    }

    #[test]
    fn it_is_lifted_when_nobody_was_squeezed_out_for_long() {
        let mut level = Level {
            height: 40.0,
            calm: 0,
        };
        let alone = |level: Level| Seen {
            inside: 100.min(level.height as u32),
            limit: 100,
            highest: 100,
            at_level: u32::from(level.height < 100.0),
            lowest_refused: level.height as u32,
            ..Seen::default()
        };
        let lifted = (1..1000).find(|_| {
            level = level.next(&alone(level));
            level.height.is_infinite()
        });
        assert!((CALM..CALM + 50).contains(&lifted.unwrap()), "{lifted:?}");
    }
}
