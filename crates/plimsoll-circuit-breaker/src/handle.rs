//! Reading and steering a breaker while it runs.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{InvalidBreaker, State, shared::Shared};

/// Reads a breaker's state and counters, changes its settings, and forces it open or closed.
///
/// Clones are handles of the same breaker. Settings and counters are those of the breaker and all its
/// [siblings](crate::CircuitBreaker::sibling); the state is its own. New settings hold from the next decision on: they move
/// nothing by themselves.
#[derive(Clone)]
pub struct BreakerHandle {
    shared: Arc<Shared>,
}

impl BreakerHandle {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The state. Open stays open until a request asks after its time is over.
    pub fn state(&self) -> State {
        self.shared.stamp().state()
    }

    /// How many times the state has changed, from 0.
    pub fn generation(&self) -> u64 {
        self.shared.stamp().generation()
    }

    /// The share of failures in the window, 0 to 1; `None` below `min_calls`. While open, and half-open, the one it
    /// opened with.
    pub fn failure_rate(&self) -> Option<f64> {
        let (failures, calls) = (self.shared.window.failures(), self.shared.window.calls());
        let enough = calls >= self.shared.family.settings().min_calls;
        enough.then(|| (f64::from(failures) / f64::from(calls)).min(1.0))
    }

    /// Results in the window: those of the latest calls that say something about the service, at
    /// most [`window`](Self::window) of them.
    pub fn calls(&self) -> u32 {
        self.shared.window.calls()
    }

    /// How long until the next request is let through: zero when one would be now, `None` when it
    /// is forced open.
    ///
    /// Exact while open. While half-open with all probes out it is an estimate: as long as the
    /// latest judged call took, within 100 ms and `open_for`.
    pub fn retry_after(&self, now: Instant) -> Option<Duration> {
        self.shared.next_in(now)
    }

    /// Probes that are out and hold a place.
    pub fn probing(&self) -> usize {
        self.shared.probing()
    }

    /// Refuses everything until [`automatic`](Self::automatic), [`reset`](Self::reset) or
    /// [`force_closed`](Self::force_closed).
    pub fn force_open(&self) {
        self.shared.force(State::ForcedOpen);
    }

    /// Lets everything through until told otherwise. Outcomes are recorded, so that the failure rate can be read.
    pub fn force_closed(&self) {
        self.shared.force(State::ForcedClosed);
    }

    /// Ends a forced state: closed, with an empty window. Does nothing when the state is not forced.
    pub fn automatic(&self) {
        self.shared.automatic();
    }

    /// Starts over, whatever the state: closed, with an empty window, and the first opening as short as ever.
    pub fn reset(&self) {
        self.shared.force(State::Closed);
    }

    /// How many times it opened by itself. Counters never go down.
    pub fn opened(&self) -> u64 {
        self.shared.family.opened.get()
    }

    /// Requests refused.
    pub fn rejected(&self) -> u64 {
        self.shared.family.rejected.get()
    }

    /// Probes let through, also those that another policy refused after all.
    pub fn probes(&self) -> u64 {
        self.shared.family.probes.get()
    }

    /// Results that came in a later generation than their calls were let through in, and counted nowhere.
    pub fn late(&self) -> u64 {
        self.shared.family.late.get()
    }

    /// Calls that the caller cancelled without an answer and too early to count as failures.
    ///
    /// When it grows and [`failure_rate`](Self::failure_rate) is `None`, there may be a timeout
    /// outside of the breaker that is shorter than [`cancelled_call`](Self::cancelled_call).
    pub fn cancelled(&self) -> u64 {
        self.shared.family.cancelled.get()
    }

    /// The size of the window in calls. It cannot be changed.
    pub fn window(&self) -> u32 {
        self.shared.family.settings().window
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $get:ident / $set:ident: $type:ty, $errors:literal;)*) => {
        impl BreakerHandle {$(
            $(#[$doc])*
            pub fn $get(&self) -> $type {
                self.shared.family.settings().$get
            }

            #[doc = concat!("Changes [`", stringify!($get), "`](Self::", stringify!($get), ").")]
            ///
            /// # Errors
            ///
            #[doc = $errors]
            /// Nothing is changed then.
            pub fn $set(&self, $get: $type) -> Result<(), InvalidBreaker> {
                self.shared.family.change(|settings| settings.$get = $get)
            }
        )*}
    };
}

settings! {
    /// The share of failures at which the breaker opens. (The one measured is [`failure_rate`](Self::failure_rate).)
    threshold / set_threshold: f64, "When it is not above 0 and at most 1.";
    /// With fewer outcomes than this nothing opens.
    min_calls / set_min_calls: u32, "When it is not 1 to the window.";
    /// How long the first opening in a row lasts.
    open_for / set_open_for: Duration, "When it is zero, or longer than the longest opening in a row.";
    /// The share of itself by which an opening is longer at most.
    jitter / set_jitter: f64, "When it is not 0 to 1.";
    /// How much longer each opening in a row is, and the longest; `None` when all are the same.
    backoff / set_backoff: Option<(f64, Duration)>, "When the factor is below 1 or the longest shorter than the first.";
    /// Probes at a time.
    probes_at_a_time / set_probes_at_a_time: u32, "When it is not 1 to 64.";
    /// Probes that must succeed before the breaker closes.
    successes / set_successes: u32, "When it is zero.";
    /// How long a probe keeps its place.
    probe_timeout / set_probe_timeout: Duration, "When it is zero.";
    /// Answers that take this long or longer are failures; `None` when that is off.
    slow_call / set_slow_call: Option<Duration>, "When it is zero.";
    /// Calls cancelled without an answer, this long or longer after the start, are failures; `None`
    /// when that is off.
    cancelled_call / set_cancelled_call: Option<Duration>, "When it is zero.";
    /// Whether overloaded answers are failures.
    count_overloaded / set_count_overloaded: bool, "Never.";
}

impl fmt::Debug for BreakerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerHandle")
            .field("state", &self.state())
            .field("generation", &self.generation())
            .field("failure_rate", &self.failure_rate())
            .finish_non_exhaustive()
    }
}
