//! A window, in the numbers that the algorithm reckons with.

use tokio::time::Instant;

use crate::Window;

pub(super) struct Seen {
    /// When it ended.
    pub(super) now: Instant,
    /// Calls that were answered.
    pub(super) calls: f64,
    /// Their mean latency, in seconds.
    pub(super) latency: f64,
    /// Its coefficient of variation.
    pub(super) cv: f64,
    /// Calls in a second.
    pub(super) throughput: f64,
    /// In flight, on average.
    pub(super) in_flight: f64,
    /// And at most.
    pub(super) most: f64,
    /// Somebody found no slot.
    pub(super) limited: bool,
    /// How much was refused, as a part of what makes it certain that the service had enough to do: at most 1.
    pub(super) pressed: f64,
    /// The part of what came that was refused.
    pub(super) refused: f64,
    /// The part of what ended that was dropped.
    pub(super) dropped: f64,
}

impl Seen {
    pub(super) fn new(window: &Window) -> Self {
        let calls = window.answered.max(1) as f64;
        let seconds = (window.ended - window.began).as_secs_f64().max(1e-9);
        let latency = window.latency.as_secs_f64().max(1e-9);
        let (refused, dropped) = (window.refused as f64, window.dropped as f64);
        Self {
            now: window.ended,
            calls,
            latency,
            cv: window.deviation.as_secs_f64() / latency,
            throughput: calls / seconds,
            in_flight: window.mean_in_flight,
            most: window.in_flight.into(),
            limited: window.turned_away > 0,
            pressed: (refused / (calls + refused) / 0.2).min(1.0),
            refused: refused / (calls + refused),
            dropped: dropped / (calls + dropped),
        }
    }

    /// What is in flight is what comes, times how long it stays.
    pub(super) fn holds_together(&self) -> bool {
        let apart = (self.throughput * self.latency / self.in_flight.max(1.0)).ln();
        apart.abs() < 0.2
    }
}
