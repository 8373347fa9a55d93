//! The layers in front of the server: Plimsoll's, its peers', and none.

mod acc;
mod breaker;
mod congestion;
mod little;
mod ours;
mod plain;
mod published;
mod resilience;
mod shed;
mod stack;
mod textbook;
mod watch;

pub(crate) use self::{
    stack::{Hints, Limit, Refused, Stack},
    watch::{PRINT_WINDOWS, record, tune, tuning},
};
use crate::backend::Backend;

/// A contender.
pub(crate) struct Contender {
    /// Its name in tables and on the command line.
    pub(crate) name: &'static str,
    /// A description in one line.
    pub(crate) about: &'static str,
    /// Puts it in front of a server. The second value reads its limit, if it reports one.
    pub(crate) build: fn(Backend, Hints) -> (Stack, Limit),
    /// Whether several limits are tried, and the best is used.
    pub(crate) tuned: bool,
}

const fn of(
    name: &'static str,
    build: fn(Backend, Hints) -> (Stack, Limit),
    about: &'static str,
) -> Contender {
    Contender {
        name,
        about,
        build,
        tuned: false,
    }
}

const fn tuned(
    name: &'static str,
    build: fn(Backend, Hints) -> (Stack, Limit),
    about: &'static str,
) -> Contender {
    Contender {
        tuned: true,
        ..of(name, build, about)
    }
}

/// All contenders.
pub(crate) const ALL: &[Contender] = &[
    of("none", plain::none, "no protection"),
    tuned(
        "tower-tuned",
        plain::tower,
        "tower: LoadShed over ConcurrencyLimit, the best of several limits",
    ),
    of(
        "resilience-aimd",
        resilience::aimd,
        "tower-resilience: AIMD, defaults (at most 100)",
    ),
    of(
        "resilience-vegas",
        resilience::vegas,
        "tower-resilience: Vegas, defaults (at most 100)",
    ),
    of(
        "resilience-gradient2",
        resilience::gradient2,
        "tower-resilience: Gradient2, defaults (at most 200)",
    ),
    of(
        "resilience-aimd-wide",
        resilience::aimd_wide,
        "tower-resilience: AIMD, at most 20,000, late from half the deadline on",
    ),
    of(
        "resilience-vegas-wide",
        resilience::vegas_wide,
        "tower-resilience: Vegas, at most 20,000",
    ),
    of(
        "resilience-gradient2-wide",
        resilience::gradient2_wide,
        "tower-resilience: Gradient2, at most 20,000",
    ),
    of(
        "acc-aimd",
        acc::aimd,
        "tower-acc: AIMD, defaults (20 to 200, late from 5 s on)",
    ),
    of(
        "acc-vegas",
        acc::vegas,
        "tower-acc: Vegas, defaults (at most 1,000)",
    ),
    of(
        "acc-gradient2",
        acc::gradient2,
        "tower-acc: Gradient2, defaults (20 to 200)",
    ),
    of(
        "acc-aimd-wide",
        acc::aimd_wide,
        "tower-acc: AIMD, 2 to 20,000, late from half the deadline on",
    ),
    of(
        "acc-vegas-wide",
        acc::vegas_wide,
        "tower-acc: Vegas, at most 20,000",
    ),
    of(
        "acc-gradient2-wide",
        acc::gradient2_wide,
        "tower-acc: Gradient2, 1 to 20,000",
    ),
    of(
        "congestion-aimd",
        congestion::aimd,
        "congestion-limiter: AIMD, 1 to 20,000, late from half the deadline on",
    ),
    of(
        "congestion-vegas",
        congestion::vegas,
        "congestion-limiter: Vegas over windows, 1 to 20,000",
    ),
    of(
        "congestion-gradient",
        congestion::gradient,
        "congestion-limiter: Gradient over windows, 1 to 20,000",
    ),
    of(
        "little-loadshedder",
        little::half_the_deadline,
        "little-loadshedder: target half the deadline",
    ),
    tuned(
        "fixed",
        ours::fixed,
        "plimsoll: a fixed limit, the best of several",
    ),
    of("aimd", published::aimd, "plimsoll: AIMD, defaults"),
    of("vegas", published::vegas, "plimsoll: Vegas, defaults"),
    of(
        "gradient2",
        published::gradient2,
        "plimsoll: Gradient2, defaults",
    ),
    of("adaptive", ours::adaptive, "plimsoll: all defaults"),
    of(
        "adaptive-routes",
        ours::adaptive_routes,
        "plimsoll: adaptive, with a latency per route",
    ),
    of(
        "adaptive-fair",
        ours::adaptive_fair,
        "plimsoll: adaptive, with a fair share per caller (random hash seed: runs differ slightly)",
    ),
    of(
        "adaptive-shed",
        shed::alone,
        "plimsoll: AdaptiveShed by the queueing delay inside the server, no limit",
    ),
    of(
        "adaptive-shed+limit",
        shed::with_limit,
        "plimsoll: AdaptiveShed by the queueing delay of the adaptive limit behind it",
    ),
    of(
        "load-shed",
        shed::ramp,
        "plimsoll: LoadShed by the queueing delay inside the server, no limit",
    ),
    of(
        "throttle+adaptive",
        shed::throttled,
        "plimsoll: callers with an AdaptiveThrottle, and the adaptive limit",
    ),
    of(
        "breaker",
        breaker::ramp,
        "plimsoll: callers with a circuit breaker, open for 1 s",
    ),
    of(
        "breaker-no-ramp",
        breaker::no_ramp,
        "plimsoll: the same without the ramp after the probes",
    ),
    of(
        "shed-dagor",
        textbook::dagor,
        "DAGOR's controller with its published constants, by the same signal as adaptive-shed",
    ),
    of(
        "shed-pi",
        textbook::pi,
        "a PI controller with Cinnamon's published gains, by the same signal",
    ),
];
