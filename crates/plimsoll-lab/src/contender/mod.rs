//! What stands in front of the server: ours, the peers', nothing.

mod acc;
mod congestion;
mod little;
mod ours;
mod plain;
mod published;
mod resilience;
mod shed;
mod textbook;

use tower::util::BoxCloneService;

pub(crate) use self::ours::{PRINT_WINDOWS, tune, tuning};
use crate::backend::{Backend, Req, Res};

/// The request was turned away with an error rather than an answer.
#[derive(Debug)]
pub(crate) struct Refused;

/// A server with a contender in front of it.
pub(crate) type Stack = BoxCloneService<Req, Res, Refused>;

/// A meter of the limit, where there is one.
pub(crate) type Limit = Option<Box<dyn Fn() -> f64 + Send>>;

/// Room for the largest server of the lab, where a peer's own largest limit would be its fate.
const WIDE: usize = 20_000;

/// What a contender may know beforehand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hints {
    /// In flight when the server is just full. Only the hand-tuned ones look at it.
    pub(crate) slots: f64,
    /// How long callers want to wait, in seconds. Likewise.
    pub(crate) deadline: f64,
    /// What the hand-tuned ones try: multiples of `slots`; the best is told.
    pub(crate) tuning: f64,
}

/// A contender.
pub(crate) struct Contender {
    /// Its name in tables and on the command line.
    pub(crate) name: &'static str,
    /// What it is, in a line.
    pub(crate) about: &'static str,
    /// Puts it in front of a server. The second is its limit, where it tells one.
    pub(crate) build: fn(Backend, Hints) -> (Stack, Limit),
    /// It is given the best of several limits.
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

/// All of them.
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
        "the same, at most 20,000, late from half the deadline on",
    ),
    of(
        "resilience-vegas-wide",
        resilience::vegas_wide,
        "the same, at most 20,000",
    ),
    of(
        "resilience-gradient2-wide",
        resilience::gradient2_wide,
        "the same, at most 20,000",
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
        "the same, 2 to 20,000, late from half the deadline on",
    ),
    of(
        "acc-vegas-wide",
        acc::vegas_wide,
        "the same, at most 20,000",
    ),
    of(
        "acc-gradient2-wide",
        acc::gradient2_wide,
        "the same, 1 to 20,000",
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
        "the same, with a latency for each route",
    ),
    of(
        "adaptive-fair",
        ours::adaptive_fair,
        "the same, with fair shares for each caller (its hash is seeded at random: runs differ a little)",
    ),
    of(
        "adaptive-shed",
        shed::alone,
        "plimsoll: AdaptiveShed by what requests wait inside the server, no limit",
    ),
    of(
        "adaptive-shed+limit",
        shed::with_limit,
        "plimsoll: AdaptiveShed by what requests wait for the adaptive limit behind it",
    ),
    of(
        "load-shed",
        shed::ramp,
        "plimsoll: LoadShed by what requests wait inside the server, no limit",
    ),
    of(
        "throttle+adaptive",
        shed::throttled,
        "plimsoll: callers with an AdaptiveThrottle, and the adaptive limit",
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
