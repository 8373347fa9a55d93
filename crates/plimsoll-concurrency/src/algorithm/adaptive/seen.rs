//! A window, in the numbers that the algorithm reckons with.

use tokio::time::Instant;

use crate::Window;

/// No service varies more, or nothing is to be learnt from it.
const WILDEST: f64 = 5.0;

pub(super) struct Seen {
    /// When it ended.
    pub(super) now: Instant,
    /// The limit during it.
    pub(super) limit: f64,
    /// Calls that were answered.
    pub(super) calls: f64,
    /// Their mean latency, in seconds.
    pub(super) latency: f64,
    /// Its coefficient of variation.
    pub(super) cv: f64,
    /// Calls in a second that the requests in flight are worth, by Little's law: in flight over mean
    /// latency. All that hold a slot count, whatever becomes of them. It is compared with a no-load
    /// latency that was measured in the same way, so what windows miss of long calls cancels out.
    /// While no request was without a slot, it is `counted`.
    pub(super) throughput: f64,
    /// Calls in a second that ended, the cancelled ones by the part of their work that was done. Unlike
    /// `throughput` it holds while the limit moves.
    pub(super) counted: f64,
    /// In flight, on average.
    pub(super) in_flight: f64,
    /// And at most.
    pub(super) most: f64,
    /// Somebody found no slot.
    pub(super) limited: bool,
    /// How sure it is that the service had enough to do all the time: 0 when every second request found a free slot and
    /// hardly any was refused, or a third of the slots was idle; 1 when one in ten did or a third was refused.
    pub(super) pressed: f64,
    /// What those answered take at rest on average, by their routes, in seconds.
    pub(super) at_rest: Option<f64>,
    /// The part of what ended that was dropped.
    pub(super) dropped: f64,
    /// Seconds until the deadline of requests that found no slot: one in ten has less.
    pub(super) time_left: Option<f64>,
}

impl Seen {
    pub(super) fn new(window: &Window) -> Self {
        let calls = window.answered.max(1) as f64;
        // Callers who leave in numbers are as good as those who find no slot: more is asked for than can be done.
        let limited = window.turned_away > 0 || window.dropped > window.answered / 8;
        let mut time = window.ended - window.began;
        if limited {
            // While nobody asked or the service stood still, it could not show what it can do.
            time = time.saturating_sub(window.silent);
        }
        let seconds = time.as_secs_f64().max(1e-9);
        let latency = window.latency.as_secs_f64().max(1e-9);
        let dropped = window.dropped as f64;
        let work = window.cancelled_work.clamp(0.0, window.cancelled as f64);
        let counted = (window.answered as f64 + work) / seconds;
        // No mean is above the most; and in a window made by hand it may be no number at all.
        let in_flight = window.mean_in_flight.max(0.0).min(window.in_flight.into());
        // Those who were let in after a wait, and those who were not let in.
        let waited = window.turned_away.saturating_sub(window.refused) as f64 / calls;
        let refused = window.refused as f64 / (calls + window.refused as f64);
        Self {
            now: window.ended,
            limit: f64::from(window.limit),
            calls,
            latency,
            cv: (window.deviation.as_secs_f64() / latency).min(WILDEST),
            throughput: if limited {
                in_flight.max(1.0) / latency
            } else {
                counted
            },
            counted,
            in_flight,
            most: window.in_flight.into(),
            limited,
            pressed: ((waited - 0.5) / 0.4)
                .max((refused - 0.15) / 0.2)
                // Bursts leave it idle in between.
                .min((in_flight / f64::from(window.limit) - 0.7) / 0.2)
                .clamp(0.0, 1.0),
            at_rest: window.at_rest.map(|time| time.as_secs_f64().max(1e-9)),
            dropped: dropped / (calls + dropped),
            time_left: window.time_left.map(|time| time.as_secs_f64()),
        }
    }

    /// What is in flight is what comes, times how long it stays.
    pub(super) fn holds_together(&self) -> bool {
        let apart = (self.counted * self.latency / self.in_flight.max(1.0)).ln();
        apart.abs() < 0.2
    }
}
