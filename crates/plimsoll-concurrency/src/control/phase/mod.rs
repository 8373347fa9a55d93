//! What a window means in each phase.
//!
//! Each file holds functions from an observation and the model to a [`Step`]. None of them changes
//! anything: `adaptive.rs` owns the state and applies the step.
//!
//! ```text
//!            grows                    probe                    window by window
//! Startup ──────────► Startup ──► Drain ──► Measure ──► Settle ──► Track ─┐
//!    ▲                              ▲                                ▲   │
//!    │ unknown capacity             └──────── probe is due ──────────┴───┘
//!    └──────────────────────────────────────────────── Track (idle windows end here, too)
//! ```

pub(super) mod idle;
pub(super) mod probe;
pub(super) mod startup;
pub(super) mod track;

use std::time::Duration;

use tokio::time::Instant;

use super::{
    LimitReason, WindowSize, headroom::Headroom, model::Model, observation::Observation,
    settings::Settings,
};

/// What the next window is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    /// The limit grows for as long as that raises the throughput.
    Startup {
        /// The throughput before the last step, in calls a second.
        before: f64,
        /// The factor of a step.
        factor: f64,
    },
    /// Load after calm time: a window that shows whether the capacity was tried before.
    Look,
    /// The limit has just moved; calls from before end.
    Settle,
    /// The limit alternates around its middle.
    Track,
    /// The limit is below the base; calls from before end.
    Drain(Probe),
    /// And calls that end now have the no-load latency.
    Measure(Probe),
}

/// A probe in progress.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Probe {
    began: Instant,
    /// The limit before it.
    before: f64,
    /// It only checks the estimate.
    pub(super) shallow: bool,
    /// The most in flight in its last window, while calls from before it end.
    most: f64,
    /// Whether the window was left out in which the last of these ended.
    drained: bool,
    /// The least time of its measurement, in seconds.
    least: f64,
    /// What it has measured so far.
    seen: Option<Observation>,
}

/// What a window leads to.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) phase: Phase,
    pub(super) limit: f64,
    pub(super) window: WindowSize,
    pub(super) reason: LimitReason,
    /// When the next probe is due, where the step decides that.
    pub(super) next_probe: Option<Instant>,
}

impl Step {
    fn new(phase: Phase, limit: f64, window: WindowSize, reason: LimitReason) -> Self {
        Self {
            phase,
            limit,
            window,
            reason,
            next_probe: None,
        }
    }
}

/// What the functions of all phases read.
pub(super) struct Context<'a> {
    /// The limit during the window.
    pub(super) limit: f64,
    pub(super) model: &'a Model,
    pub(super) headroom: &'a Headroom,
    pub(super) settings: &'a Settings,
}

impl Context<'_> {
    /// A limit within these and the user's bounds.
    fn within(&self, goal: f64, least: f64, most: f64) -> f64 {
        self.settings.bounds.clamp(goal.clamp(least, most))
    }

    /// The limit that should be, as far as it may move in one window.
    fn next_limit(&self) -> f64 {
        let goal = self
            .headroom
            .limit(self.model, self.settings.objective_secs());
        let most = self.model.tuning.most_move;
        self.within(goal, self.limit / most, self.limit * most)
    }

    /// The middle of the alternation.
    fn middle(&self) -> f64 {
        self.headroom
            .middle(self.model, self.settings.objective_secs())
    }

    /// A window of at least this many calls, in which nearly all calls in flight can end.
    fn window(&self, calls: f64) -> WindowSize {
        WindowSize {
            time: self.model.tail(),
            samples: calls.ceil().clamp(8.0, 1e9) as u32,
        }
    }

    /// A window that measures under this limit: several generations of calls.
    fn measuring(&self, limit: f64) -> WindowSize {
        let tuning = &self.model.tuning;
        self.window((tuning.generations * limit).max(tuning.window_calls))
    }
}

/// A duration from seconds that may be too many for it.
fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.min(3600.0))
}
