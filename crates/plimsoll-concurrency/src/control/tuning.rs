//! Every number of the adaptive limit.
//!
//! Each has a unit, a reason, and the laboratory's scenario whose score falls when it is wrong.
//! `docs/tuning.md` shows them as a table, with the score when each is halved and doubled.

use std::fmt;

/// One number of [`Tuning`], for tables and for tests of its effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// Its name: that of the field.
    pub name: &'static str,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it is, and why it has this value.
    pub why: &'static str,
    /// The scenario of the laboratory that fails when it is wrong.
    pub scenario: &'static str,
}

macro_rules! numbers {
    ($($(#[doc = $why:literal])+ $name:ident = $value:literal $unit:literal, $scenario:literal;)+) => {
        /// The numbers of the adaptive limit. Not part of the public API.
        #[derive(Clone, Copy, PartialEq)]
        pub struct Tuning {
            $($(#[doc = $why])+ pub(crate) $name: f64,)+
        }

        impl Tuning {
            /// The values in use.
            pub const DEFAULT: Self = Self { $($name: $value,)+ };

            /// All numbers, in the order of their definition.
            pub const NUMBERS: &'static [Number] = &[
                $(Number {
                    name: stringify!($name),
                    value: $value,
                    unit: $unit,
                    why: concat!($($why),+),
                    scenario: $scenario,
                },)+
            ];

            /// These numbers with `value` for the number `name`.
            ///
            /// # Errors
            ///
            /// When no number has that name, or the value is out of its bounds.
            pub fn with(mut self, name: &str, value: f64) -> Result<Self, InvalidTuning> {
                match name {
                    $(stringify!($name) => self.$name = value,)+
                    _ => return Err(InvalidTuning::Unknown(name.into())),
                }
                self.check()?;
                Ok(self)
            }

            /// All values, with their names.
            fn named(&self) -> [(&'static str, f64); Self::NUMBERS.len()] {
                [$((stringify!($name), self.$name),)+]
            }
        }
    };
}

numbers! {
    // Windows.

    /// Least calls in a window: the standard error of a mean of exponential times is then 14 %.
    window_calls = 50.0 "calls", "laws";
    /// Calls in a window for each slot of the limit, and mean latencies after which silence is no
    /// chance. With 4, the calls cut off at a window's ends weigh little.
    generations = 4.0 "calls per slot", "load-curve";
    /// Least calls in a window of the startup: enough for a rough latency.
    startup_calls = 16.0 "calls", "after-idle";
    /// Calls in a window of the startup for each slot of the limit: a little over one generation.
    startup_generations = 1.25 "calls per slot", "cold-start";
    /// Shortest window. Timers and schedulers are no finer than a millisecond.
    shortest_window = 0.002 "s", "load-curve";
    /// Longest time until an incomplete window is looked at again, so that load after idle time is
    /// seen at once.
    look_again = 0.1 "s", "after-idle";
    /// Standard deviations above the no-load latency at which nearly all calls have ended.
    tail = 3.0 "deviations", "mixed-routes";

    // Saturation.

    /// Share of calls that were queued from which a window counts as saturated.
    queued_from = 0.5 "of calls", "bursts";
    /// Weight of the share of rejected requests, compared with the share of queued calls: a service
    /// without a queue at 1.2 times its capacity rejects one in six.
    rejected_weight = 2.0 "", "short-deadlines";
    /// Share of the slots in use from which a window counts as saturated. Below it, calls are taken
    /// not to wait for each other.
    occupied_from = 0.7 "of slots", "bursts";
    /// Share from which a window is certainly saturated, and which a shallow probe keeps.
    nearly_all = 0.9 "", "laws";
    /// Share that is more than chance: of calls dropped; of slots in use, below which time is idle.
    noticeable = 0.1 "", "leavers";
    /// Generations of calls in the average of the saturation.
    saturation_memory = 20.0 "generations", "bursts";

    // Averages.

    /// Calls that weigh as much as all that is known, for a coefficient of variation of 1.
    prior = 200.0 "calls", "laws";
    /// Share of a value that one window replaces, in averages over windows.
    fade = 0.2 "", "leavers";
    /// Share of the calibration that one window replaces: windows of few slots vary widely.
    calibrate = 0.03 "", "laws";

    // Significance.

    /// Relative change that counts as one: of throughput, latency and limit. The limit
    /// alternates by as much around its middle, so that the effect exceeds chance.
    changed = 0.2 "", "mix-shifts";
    /// Standard errors from which a difference is likely to be real.
    likely = 2.5 "standard errors", "pauses";
    /// Standard errors from which a difference is real.
    certain = 4.0 "standard errors", "capacity-halves";
    /// Relative difference of two no-load latencies that are the same.
    same = 0.05 "", "load-curve";

    // Startup.

    /// Factor by which the limit grows in a step of the startup; up to twice that where deadlines
    /// allow for it.
    growth = 4.0 "", "cold-start";
    /// Factor by which a step has to raise the throughput, and by which it may raise the latency.
    pays = 1.5 "", "cold-start";

    // Headroom.

    /// Limit over base while the service keeps up: room for bursts.
    headroom = 2.5 "bases", "bursts";
    /// Limit over base while the service is saturated: room for errors of the estimate.
    least_headroom = 1.1 "bases", "load-curve";
    /// Roots of the base on top of it: chance leaves that many slots idle.
    roots = 2.0 "roots of the base", "laws";
    /// Elasticity of the throughput from which more headroom is worth it. The elasticity is known
    /// when its standard error is as small.
    gain_worth = 0.05 "", "tasks";
    /// Loss of throughput, as elasticity, from which less headroom is better.
    gain_loss = 0.02 "", "usl";
    /// Factor by which the boost and, when no call is answered, the limit change at once.
    boost_step = 1.2 "", "usl";
    /// Greatest boost: of a service that spends three quarters of a call waiting for others.
    most_boost = 4.0 "", "tasks";
    /// Least boost.
    least_boost = 0.6 "", "usl";
    /// Greatest factor between the limits of two windows, after the startup.
    most_move = 2.0 "", "capacity-halves";
    /// Share of the time until the deadline that a request may spend inside the service, where calls
    /// do not vary; the rest is for the queue. Where they vary, a deviation of that time is reserve.
    inside = 0.7 "", "short-deadlines";

    // Idle.

    /// Limit over the largest number in flight, below which an unused limit does not fall.
    spare = 1.25 "", "bursts";
    /// Idle windows for each one that updates the no-load latencies of routes: windows that are
    /// compared must share them.
    idle_windows = 8.0 "windows", "mix-shifts";

    // Probes.

    /// Limit over base during a probe that finds out the no-load latency.
    probe_depth = 0.75 "bases", "load-curve";
    /// Share of the throughput that probes cost once the no-load latency is known.
    probe_cost = 0.002 "", "load-curve";
    /// Greatest factor by which probes are more frequent while the no-load latency is uncertain, and
    /// by which they hold more calls where calls vary widely.
    urgency = 4.0 "", "load-curve";

    // Queue.

    /// Time in the queue that its length allows for while the service keeps up. Under saturation it
    /// is one, and less when calls are dropped.
    patience = 4.5 "no-load latencies", "bursts";
    /// Longest time in the queue.
    longest_wait = 6.0 "no-load latencies", "leavers";
    /// Greatest factor by which requests that state a deadline may wait for longer, in proportion to
    /// it.
    stated_wait = 4.0 "", "tasks";
}

/// Numbers that are shares of a whole: at most 1.
const SHARES: &[&str] = &[
    "queued_from",
    "occupied_from",
    "nearly_all",
    "noticeable",
    "fade",
    "calibrate",
    "inside",
    "probe_depth",
    "probe_cost",
    "least_boost",
];
/// Numbers that are the greatest of some factors, or a step: at least 1.
const FACTORS: &[&str] = &[
    "growth",
    "pays",
    "boost_step",
    "most_boost",
    "most_move",
    "urgency",
    "stated_wait",
];
/// Numbers of which the first is below the second: ramps and ranges lie between them.
const BELOW: &[(&str, &str)] = &[
    ("noticeable", "queued_from"),
    ("queued_from", "nearly_all"),
    ("occupied_from", "nearly_all"),
    ("probe_depth", "nearly_all"),
    ("changed", "pays"),
];

/// A value of [`Tuning`] with which the algorithm is not defined.
#[derive(Debug, Clone, PartialEq)]
pub enum InvalidTuning {
    /// No number has this name.
    Unknown(String),
    /// The value is out of the number's bounds.
    OutOfBounds {
        /// The number.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The bound, as text.
        bound: &'static str,
    },
    /// The first number has to be below the second.
    Order(&'static str, &'static str),
}

impl fmt::Display for InvalidTuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "no number {name}"),
            Self::OutOfBounds { name, value, bound } => {
                write!(f, "{name} must be {bound}, got {value}")
            }
            Self::Order(low, high) => write!(f, "{low} must be below {high}"),
        }
    }
}

impl std::error::Error for InvalidTuning {}

impl Tuning {
    fn check(&self) -> Result<(), InvalidTuning> {
        let numbers = self.named();
        for (name, value) in numbers {
            let wrong = |bound| Err(InvalidTuning::OutOfBounds { name, value, bound });
            if !(value > 0.0 && value.is_finite()) {
                return wrong("above 0, and finite");
            }
            if SHARES.contains(&name) && value > 1.0 {
                return wrong("at most 1");
            }
            if FACTORS.contains(&name) && value < 1.0 {
                return wrong("at least 1");
            }
        }
        let value = |of: &str| numbers.iter().find(|(name, _)| *name == of).map(|n| n.1);
        match BELOW.iter().find(|(low, high)| value(low) >= value(high)) {
            Some((low, high)) => Err(InvalidTuning::Order(low, high)),
            None => Ok(()),
        }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Without the numbers, which are the same in every `Debug` text of a limit.
impl fmt::Debug for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tuning").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn values_with_which_the_algorithm_is_not_defined_are_errors() {
        Tuning::DEFAULT.check().unwrap();
        for (name, value, text) in [
            ("growht", 4.0, "no number growht"),
            ("nearly_all", 1.8, "nearly_all must be at most 1, got 1.8"),
            ("nearly_all", 0.45, "queued_from must be below nearly_all"),
            ("probe_depth", 0.95, "probe_depth must be below nearly_all"),
            ("boost_step", 0.6, "boost_step must be at least 1, got 0.6"),
            (
                "growth",
                f64::NAN,
                "growth must be above 0, and finite, got NaN",
            ),
        ] {
            let error = Tuning::DEFAULT.with(name, value).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        for number in Tuning::NUMBERS {
            let listed = |name: &&str| *name == number.name;
            let bounds = SHARES.iter().chain(FACTORS).filter(|name| listed(name));
            assert!(bounds.count() <= 1, "{}", number.name);
        }
        let names = BELOW.iter().flat_map(|(low, high)| [low, high]);
        for name in names.chain(SHARES).chain(FACTORS) {
            let known = Tuning::NUMBERS.iter().any(|number| number.name == *name);
            assert!(known, "{name}");
        }
    }
}
