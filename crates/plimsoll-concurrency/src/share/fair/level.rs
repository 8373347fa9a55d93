//! The level of the water-filling: a pure state machine.

/// The part of the limit kept free for keys below the level while such keys are starved: 0.02.
const HEADROOM: f64 = 0.02;
/// The number of steps in which spare slots are given out: 4. Keys with little demand arrive in
/// bursts, and a rejection of one costs more than a slot that is idle for a moment.
const STEPS: u32 = 4;
/// The lowest level: 1/64. Below 1 keys take turns; this bounds the pause between two turns to 1.3
/// seconds.
const LOWEST: f64 = 1.0 / 64.0;
/// The number of intervals without a starved key after which the headroom is lent, too: 200.
const CALM: u32 = 200;

/// What was observed between two adjustments, on requests that arrived while the limit was nearly
/// full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Requests in flight and in the queue, now.
    pub(super) inside: u32,
    /// The limit, now.
    pub(super) limit: u32,
    /// Whether a key with less than others found the limit full.
    pub(super) starved: bool,
    /// The most requests that one key has in flight.
    pub(super) highest: u32,
    /// Rejected keys that were at the level.
    pub(super) at_level: u32,
    /// Rejected keys that were above the level: some of their calls have to end before the level
    /// affects them.
    pub(super) above: u32,
    /// The fewest requests in flight of a rejected key.
    pub(super) lowest_rejected: u32,
}

/// How many requests a key may have in flight. Infinite until a key is starved by others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub(super) height: f64,
    /// Intervals since a key was starved, up to [`CALM`].
    pub(super) calm: u32,
}

impl Level {
    pub(super) const UNLIMITED: Self = Self {
        height: f64::INFINITY,
        calm: CALM,
    };

    /// Returns the level for the next interval.
    ///
    /// The water-filling level is where the sum of `min(demand, level)` over all keys is the
    /// available part of the limit. The slope of that sum is the number of keys at the level, so
    /// this is Newton's method. The demand of a key need not be known, only how many keys want
    /// more.
    pub(super) fn next(self, seen: &Seen) -> Self {
        let calm = if seen.starved {
            0
        } else {
            (self.calm + 1).min(CALM)
        };
        let share = if calm < CALM { 1.0 - HEADROOM } else { 1.0 };
        // A starved key found the limit full, even if calls have ended since.
        let inside = if seen.starved {
            seen.inside.max(seen.limit)
        } else {
            seen.inside
        };
        let spare = f64::from(seen.limit) * share - f64::from(inside);
        let height = if spare > 0.0 {
            self.raised(seen, spare)
        } else if seen.starved {
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
            // Below the lowest count of a rejected key a higher level admits no request.
            keys => {
                self.height.max(f64::from(seen.lowest_rejected)) + spare / f64::from(STEPS * keys)
            }
        }
    }

    fn lowered(self, seen: &Seen, excess: f64) -> f64 {
        let lower = |from: f64, keys: u32| (from - excess / f64::from(keys)).max(from / 2.0);
        match (seen.at_level, seen.above) {
            // The level limits no key: it falls to the highest count.
            (0, 0) => lower(self.height.min(f64::from(seen.highest)), 1),
            // The last change has not taken effect yet.
            (0, _) => self.height,
            (keys, _) => lower(self.height, keys),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the level at which the sum of `min(demand, level)` is `total`.
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

    /// Returns what a level observes of keys with these demands, when calls start and end at once.
    /// Of a full limit, keys with more demand get more, as far as the level allows.
    fn seen(level: Level, demands: &[u32], limit: u32) -> Seen {
        let sum_of = |ratio: f64| -> f64 {
            let got = |&want: &u32| level.height.min(ratio * f64::from(want));
            demands.iter().map(got).sum()
        };
        let full = sum_of(1.0) > f64::from(limit);
        let (mut low, mut ratio) = (0.0, 1.0);
        while full && ratio - low > 1e-6 {
            let half = f64::midpoint(low, ratio);
            if sum_of(half) > f64::from(limit) {
                ratio = half;
            } else {
                low = half;
            }
        }
        let wants = demands.iter().map(|&want| ratio * f64::from(want));
        let held = wants.clone().filter(|&want| want > level.height).count();
        Seen {
            inside: sum_of(ratio) as u32,
            limit,
            starved: full,
            highest: wants.fold(0.0, f64::max).min(level.height) as u32,
            at_level: held as u32,
            above: 0,
            lowest_rejected: level.height as u32,
        }
    }

    proptest! {
        #[test]
        fn the_level_settles_at_the_water_filling_level(
            demands in proptest::collection::vec(1..500_u32, 2..20),
            limit in 50..1000_u32,
        ) {
            let sum: u32 = demands.iter().sum();
            prop_assume!(sum > limit + limit / 20);
            let mut level = Level::UNLIMITED;
            for _ in 0..150 {
                level = level.next(&seen(level, &demands, limit));
            }
            // Before it is calm for long enough to lend the headroom.
            let low = water_fill(&demands, 0.93 * f64::from(limit));
            let high = water_fill(&demands, 1.01 * f64::from(limit)) + 1.0;
            prop_assert!((low..=high).contains(&level.height), "{level:?} not in {low} to {high}");
        }

        #[test]
        fn the_level_has_a_lower_bound(seen in proptest::collection::vec(
            (0..3000_u32, 1..2000_u32, any::<bool>(), 0..2000_u32, 0..50_u32, 0..50_u32, 0..2000_u32), 1..100,
        )) {
            let mut level = Level::UNLIMITED;
            for (inside, limit, starved, highest, at_level, above, lowest_rejected) in seen {
                level = level.next(&Seen { inside, limit, starved, highest, at_level, above, lowest_rejected });
                prop_assert!(level.height >= LOWEST);
            }
        }
    }

    #[test]
    fn the_level_does_not_fall_while_calls_of_keys_above_it_run() {
        let level = Level {
            height: 40.0,
            calm: 0,
        };
        let draining = Seen {
            inside: 100,
            limit: 100,
            starved: true,
            highest: 60,
            above: 1,
            lowest_rejected: 60,
            ..Seen::default()
        };
        assert_eq!(level.next(&draining).height.to_bits(), 40_f64.to_bits());
    }

    #[test]
    fn the_level_is_removed_after_a_long_time_without_starved_keys() {
        let mut level = Level {
            height: 40.0,
            calm: 0,
        };
        let alone = |level: Level| Seen {
            inside: 100.min(level.height as u32),
            limit: 100,
            highest: 100,
            at_level: u32::from(level.height < 100.0),
            lowest_rejected: level.height as u32,
            ..Seen::default()
        };
        let lifted = (1..1000).find(|_| {
            level = level.next(&alone(level));
            level.height.is_infinite()
        });
        assert!((CALM..CALM + 50).contains(&lifted.unwrap()), "{lifted:?}");
    }
}
