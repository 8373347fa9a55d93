//! Reads and controls a breaker at run time.

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    InvalidCircuitBreaker, OpenKey, State, Transition, Transitions, Window, shared::Shared,
};

/// Reads a breaker's state and counters, changes its settings, and forces it open or closed.
///
/// Clones are handles of the same breaker. The keys of a breaker
/// [per key](crate::CircuitBreaker::per_key) share settings and counters; each has its own state.
/// New settings apply from the next decision on; setting them changes no state.
#[derive(Clone)]
pub struct CircuitBreakerHandle {
    shared: Arc<Shared>,
}

impl CircuitBreakerHandle {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The state. Open stays open until a request arrives after the opening, and recovering stays
    /// until one arrives after the ramp.
    pub fn state(&self) -> State {
        self.shared.stamp().state()
    }

    /// The number of state transitions so far.
    pub fn generation(&self) -> u64 {
        self.shared.stamp().generation()
    }

    /// The share of failures in the window, 0 to 1; `None` below `min_calls`. While open and
    /// half-open, the share at which it opened.
    ///
    /// Outcomes that have become too old are dropped by the next request, not by this method.
    pub fn failure_rate(&self) -> Option<f64> {
        let totals = self.shared.totals();
        self.share(totals.failures, totals.calls)
    }

    /// The share of slow calls, in the window and in flight, 0 to 1; `None` below `min_calls`.
    pub fn slow_call_rate(&self) -> Option<f64> {
        let totals = self.shared.totals();
        self.share(totals.slow, totals.calls)
    }

    fn share(&self, part: u32, calls: u32) -> Option<f64> {
        let enough = calls >= self.shared.common.settings().min_calls;
        enough.then(|| (f64::from(part) / f64::from(calls)).min(1.0))
    }

    /// Results in the window, and slow calls in flight: what the rates are taken over.
    pub fn calls(&self) -> u32 {
        self.shared.totals().calls
    }

    /// Calls in flight without a head that have taken [`slow_call`](Self::slow_call), as of the
    /// latest request.
    pub fn slow_in_flight(&self) -> u32 {
        self.shared.slow_in_flight()
    }

    /// The time until the next request is admitted: zero when one would be admitted now, `None`
    /// when forced open.
    ///
    /// Exact while open. While half-open with all probes running it is an estimate: the duration of
    /// the latest call that counted, between 100 ms and `open_for`.
    pub fn retry_after(&self, now: Instant) -> Option<Duration> {
        self.shared.next_in(now)
    }

    /// Probes that are running and hold a place; while recovering, calls of the ramp.
    pub fn probing(&self) -> usize {
        self.shared.running()
    }

    /// How many calls may run at a time: none while open, the probes while half-open, the current
    /// step of the ramp while recovering. `None` when the state has no limit.
    pub fn admitted_concurrency(&self) -> Option<u32> {
        self.shared.limit()
    }

    /// Rejects all requests until [`automatic`](Self::automatic), [`reset`](Self::reset) or another
    /// method changes the state.
    pub fn force_open(&self) {
        self.shared.force(State::ForcedOpen, Instant::now());
    }

    /// Admits all requests until another method changes the state. Outcomes are recorded, so that
    /// the failure rate can be read.
    pub fn force_closed(&self) {
        self.shared.force(State::ForcedClosed, Instant::now());
    }

    /// Admits all requests and counts nothing until another method changes the state.
    pub fn disable(&self) {
        self.shared.force(State::Disabled, Instant::now());
    }

    /// Ends a state that was set by hand: closed, with an empty window. Does nothing in other
    /// states.
    pub fn automatic(&self) {
        self.shared.automatic(Instant::now());
    }

    /// Resets the breaker from any state: closed, with an empty window, and without backoff.
    pub fn reset(&self) {
        self.shared.force(State::Closed, Instant::now());
    }

    /// Opens the breaker for at least `length`: the switch for a health check, or for a callee that
    /// announces a pause. An open breaker stays open at least that much longer from now.
    ///
    /// The opening ends as any other, with probes and a ramp, and is at least as long as the next
    /// one in a row. Returns `false`, and does nothing, in a state that was set by hand. For a
    /// switch that also closes, use [`force_open`](Self::force_open) and
    /// [`automatic`](Self::automatic).
    pub fn trip(&self, length: Duration) -> bool {
        self.shared.trip(length, Instant::now())
    }

    /// The latest state transition; `None` before the first.
    pub fn last_transition(&self) -> Option<Transition> {
        self.shared.latest()
    }

    /// The transitions from now on, for code that waits for them. Each reader holds one transition:
    /// a slow one gets the latest, and the number that it missed.
    ///
    /// ```
    /// use plimsoll_circuit_breaker::{CircuitBreaker, State};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let breaker = CircuitBreaker::new();
    /// let handle = breaker.handle();
    /// let mut transitions = handle.transitions();
    /// handle.force_open();
    /// let latest = transitions.next().await.expect("the breaker exists");
    /// assert_eq!((latest.to, transitions.missed()), (State::ForcedOpen, 0));
    /// # }
    /// ```
    pub fn transitions(&self) -> Transitions {
        self.shared.common.watch.subscribe()
    }

    /// Lists breakers that are not closed, at most `max`: of a breaker
    /// [per key](crate::CircuitBreaker::per_key), the keys with their states.
    ///
    /// It visits each breaker that has ever opened, so its time grows with their number: call it
    /// for a page or a report, not for each request.
    pub fn open_keys(&self, max: usize, now: Instant) -> Vec<OpenKey> {
        self.shared.common.circuits.list(max, now)
    }

    /// How many times it opened, forced openings not included. Counters never go down.
    pub fn opened(&self) -> u64 {
        self.shared.common.opened.get()
    }

    /// State transitions, of all keys together.
    pub fn transitioned(&self) -> u64 {
        self.shared.common.transitioned.get()
    }

    /// Requests that were rejected; with [`observe_only`](Self::observe_only), that would have been.
    pub fn rejected(&self) -> u64 {
        self.shared.common.rejected.get()
    }

    /// Probes that were admitted, also those that another policy rejected.
    pub fn probes(&self) -> u64 {
        self.shared.common.probes.get()
    }

    /// Results that arrived in a later generation than that of their admission, and were not
    /// counted.
    pub fn late(&self) -> u64 {
        self.shared.common.late.get()
    }

    /// Calls that the caller cancelled without an answer, too early to count as failures.
    ///
    /// When it grows and [`failure_rate`](Self::failure_rate) is `None`, a timeout outside of the
    /// breaker may be shorter than [`cancelled_call`](Self::cancelled_call).
    pub fn cancelled(&self) -> u64 {
        self.shared.common.cancelled.get()
    }

    /// Calls `callback` for each state transition, for logs, metrics and alerts.
    ///
    /// The callbacks of a breaker, or of all keys of a breaker
    /// [per key](crate::CircuitBreaker::per_key), are called one after the other, in the order of
    /// the transitions, on the thread that caused the transition or on one that reports an earlier
    /// one. No lock is held. Update an atomic, or send to a channel, and return: up to 1,024
    /// transitions wait for a slow callback, further ones are [counted](Self::unreported) only. A
    /// panic in a callback is caught. Callbacks add up.
    ///
    /// A callback may change the state through a handle; that transition is reported after the
    /// current one. A [reset](Self::reset) of a closed breaker is not reported.
    ///
    /// ```
    /// use plimsoll_circuit_breaker::CircuitBreaker;
    ///
    /// let breaker = CircuitBreaker::new();
    /// breaker.handle().on_transition(|of| {
    ///     let key = of.key.as_deref().unwrap_or("all");
    ///     println!("breaker of {key}: {} -> {} ({})", of.from, of.to, of.reason);
    /// });
    /// ```
    pub fn on_transition(&self, callback: impl Fn(&Transition) + Send + Sync + 'static) {
        self.shared.common.callbacks.add(Arc::new(callback));
    }

    /// Transitions that were not reported, because too many waited for a slow
    /// [callback](Self::on_transition).
    pub fn unreported(&self) -> u64 {
        self.shared.common.unreported.get()
    }

    /// The window that the rates are taken over. It cannot be changed.
    pub fn window(&self) -> Window {
        self.shared.common.settings().window
    }

    /// The age from which outcomes do not count. It cannot be changed.
    pub fn max_age(&self) -> Duration {
        self.shared.common.settings().max_age
    }

    /// Calls that take this long or longer are slow; `None` when switched off.
    pub fn slow_call(&self) -> Option<Duration> {
        self.shared.common.settings().slow_call
    }

    /// Changes [`slow_call`](Self::slow_call).
    ///
    /// # Errors
    ///
    /// When it is zero, or when it was off in the builder: calls in flight are watched from the
    /// construction on, or never. On error nothing changes.
    pub fn set_slow_call(&self, slow_call: Option<Duration>) -> Result<(), InvalidCircuitBreaker> {
        match slow_call {
            Some(from) if !from.is_zero() && !self.shared.judges_latency() => {
                Err(InvalidCircuitBreaker::SlowCall(from))
            }
            _ => {
                let common = &self.shared.common;
                common.change(|settings| settings.slow_call = slow_call)
            }
        }
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $get:ident / $set:ident: $type:ty, $errors:literal;)*) => {
        impl CircuitBreakerHandle {$(
            $(#[$doc])*
            pub fn $get(&self) -> $type {
                self.shared.common.settings().$get
            }

            #[doc = concat!("Changes [`", stringify!($get), "`](Self::", stringify!($get), ").")]
            ///
            /// # Errors
            ///
            #[doc = $errors]
            /// On error nothing changes.
            pub fn $set(&self, $get: $type) -> Result<(), InvalidCircuitBreaker> {
                self.shared.common.change(|settings| settings.$get = $get)
            }
        )*}
    };
}

settings! {
    /// The share of failures at which the breaker opens. (The measured share is
    /// [`failure_rate`](Self::failure_rate).)
    threshold / set_threshold: f64, "When it is not above 0 and at most 1.";
    /// The share of slow calls at which the breaker opens. (The measured share is
    /// [`slow_call_rate`](Self::slow_call_rate).)
    slow_rate / set_slow_rate: f64, "When it is not above 0 and at most 1.";
    /// The number of outcomes below which the breaker does not open.
    min_calls / set_min_calls: u32, "When it is not 1 to the window.";
    /// The length of the first opening in a row.
    open_for / set_open_for: Duration, "When it is zero, or longer than the longest opening in a row.";
    /// The largest random share by which an opening is longer.
    jitter / set_jitter: f64, "When it is not 0 to 1.";
    /// The factor by which openings in a row grow, and the longest; `None` when all have the same
    /// length.
    backoff / set_backoff: Option<(f64, Duration)>, "When the factor is below 1 or the longest shorter than the first.";
    /// The longest wait of an answer that makes an opening longer; `None` when answers have no effect.
    max_retry_after / set_max_retry_after: Option<Duration>, "When it is zero.";
    /// Probes at a time.
    probes_at_a_time / set_probes_at_a_time: u32, "When it is not 1 to 64.";
    /// Probes that must succeed before the breaker closes.
    successes / set_successes: u32, "When it is zero.";
    /// How long a probe holds its place.
    probe_timeout / set_probe_timeout: Duration, "When it is zero.";
    /// How long the admitted concurrency grows after the probes; `None` when it closes at once.
    ramp / set_ramp: Option<Duration>, "When it is zero.";
    /// Calls cancelled without an answer, this long or longer after the start, are failures; `None`
    /// when switched off.
    cancelled_call / set_cancelled_call: Option<Duration>, "When it is zero.";
    /// Whether requests are admitted that would be rejected.
    observe_only / set_observe_only: bool, "Never.";
    /// Whether overloaded answers are failures.
    count_overloaded / set_count_overloaded: bool, "Never.";
}

impl fmt::Debug for CircuitBreakerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerHandle")
            .field("state", &self.state())
            .field("generation", &self.generation())
            .field("failure_rate", &self.failure_rate())
            .finish_non_exhaustive()
    }
}
