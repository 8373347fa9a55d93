//! A window, as the numbers that the controller computes with.

use tokio::time::Instant;

use super::{Tuning, Window};

/// The largest coefficient of variation that is used: higher ones have no other effect.
const MOST_VARIATION: f64 = 5.0;

/// What a window shows about the load and the service. Times are in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Observation {
    /// When the window ended.
    pub(super) now: Instant,
    /// How long it was, without silence under demand.
    pub(super) time: f64,
    /// The limit during the window.
    pub(super) limit: f64,
    /// Calls that were answered; at least 1, so that it can be divided by.
    pub(super) calls: f64,
    /// Answered and dropped calls.
    pub(super) ended: f64,
    /// Whether any call was answered. If not, the latency means nothing.
    pub(super) measured: bool,
    /// Mean latency of answered calls.
    pub(super) latency: f64,
    /// Coefficient of variation of that latency.
    pub(super) variation: f64,
    /// Calls a second by Little's law: in flight over mean latency, of all calls that hold a slot.
    /// The no-load latency is measured in windows of the same kind, so that what they miss of long
    /// calls cancels out. While every request found a slot, it is `counted`.
    pub(super) throughput: f64,
    /// Calls a second that ended; a cancelled one counts as the part of its work that was done.
    /// Unlike `throughput` it holds while the limit moves.
    pub(super) counted: f64,
    /// Mean number in flight.
    pub(super) in_flight: f64,
    /// Largest number in flight.
    pub(super) max_in_flight: f64,
    /// Whether more was asked for than there were slots: a request found none, or many calls were
    /// dropped.
    pub(super) demand: bool,
    /// How sure it is that the service was busy throughout the window: 0 when half of the calls found
    /// a free slot and hardly a request was rejected, or slots were unused; up to 1.
    pub(super) saturation: f64,
    /// Mean no-load latency of the answered calls' routes.
    pub(super) route_latency: Option<f64>,
    /// The share of ended calls that was dropped.
    pub(super) dropped: f64,
    /// The share of slot time that calls held whose callers left after more than 1.2 no-load latencies.
    pub(super) late: f64,
    /// Time until the deadline of requests: one in ten has less.
    pub(super) deadline_left: Option<f64>,
}

impl Observation {
    /// `calibration` is throughput by Little's law over counted throughput, and `no_load` the no-load
    /// latency, or 0.
    pub(super) fn new(window: &Window, calibration: f64, no_load: f64, tuning: &Tuning) -> Self {
        let calls = window.answered.max(1) as f64;
        let ended = calls + window.dropped as f64;
        let dropped = window.dropped as f64 / ended;
        // A window made by hand may hold a mean that is no number, or above the maximum.
        let in_flight = window
            .mean_in_flight
            .max(0.0)
            .min(window.max_in_flight.into());
        // Callers that leave in numbers are demand that is not met, as rejections are; but not where a
        // call is nearly alone, so that it cannot have waited for another.
        let alone = is_alone(in_flight, window.limit.into(), tuning);
        let demand = window.without_slot > 0 || dropped > tuning.noticeable && !alone;
        let mut time = window.ended - window.began;
        if demand {
            // While no request came or the service stalled, it could not show its capacity.
            time = time.saturating_sub(window.silent);
        }
        let time = time.as_secs_f64().max(1e-9);
        let latency = window.latency.as_secs_f64().max(1e-9);
        let work = window.cancelled_work.clamp(0.0, window.cancelled as f64);
        let late = late(window, latency, no_load, tuning);
        let counted = (1.0 - late) * calibration * (window.answered as f64 + work) / time;
        Self {
            now: window.ended,
            time,
            limit: window.limit.into(),
            calls,
            ended: window.answered as f64 + window.dropped as f64,
            measured: window.answered > 0,
            latency,
            variation: (window.deviation.as_secs_f64() / latency).min(MOST_VARIATION),
            throughput: if demand {
                (1.0 - late) * in_flight.max(1.0) / latency
            } else {
                counted
            },
            counted,
            in_flight,
            max_in_flight: window.max_in_flight.into(),
            demand,
            saturation: saturation(window, calls, in_flight, tuning).max(ramp(
                late,
                tuning.noticeable,
                tuning.queued_from,
            )),
            route_latency: window
                .route_latency
                .map(|time| time.as_secs_f64().max(1e-9)),
            dropped,
            late: window.late,
            deadline_left: window.deadline_left.map(|time| time.as_secs_f64()),
        }
    }

    /// This window and the next one, under the same limit, as one.
    pub(super) fn and(&self, next: &Self) -> Self {
        let (calls, time) = (self.calls + next.calls, self.time + next.time);
        let mean = |of: fn(&Self) -> f64| (of(self) * self.calls + of(next) * next.calls) / calls;
        let latency = mean(|part| part.latency);
        let square = mean(|part| part.latency.powi(2) * (1.0 + part.variation.powi(2)));
        let in_flight = mean(|part| part.in_flight);
        // 1, unless late calls lower the throughput.
        let done = mean(|part| part.throughput * part.latency / part.in_flight.max(1.0));
        Self {
            time,
            calls,
            ended: self.ended + next.ended,
            latency,
            variation: (square / latency.powi(2) - 1.0)
                .max(0.0)
                .sqrt()
                .min(MOST_VARIATION),
            throughput: done * in_flight.max(1.0) / latency,
            counted: (self.counted * self.time + next.counted * next.time) / time,
            in_flight,
            max_in_flight: self.max_in_flight.max(next.max_in_flight),
            saturation: mean(|part| part.saturation),
            route_latency: self
                .route_latency
                .zip(next.route_latency)
                .map(|(a, b)| (a * self.calls + b * next.calls) / calls),
            dropped: mean(|part| part.dropped),
            late: mean(|part| part.late),
            ..*next
        }
    }

    /// A window in which the calls that ended are not those that were in flight. Its mean latency is
    /// too long while calls from before it end, and too short while long calls have not ended; by
    /// Little's law, what is in flight shows those. Returns the window with the geometric mean of
    /// both.
    pub(super) fn by_residence(mut self) -> Self {
        self.latency = (self.latency * self.in_flight / self.counted).sqrt();
        self.throughput = self.counted;
        self
    }

    /// The limit has just fallen: calls that ended in this window shared the service with more than
    /// are in flight now, so that their latency is too long for Little's law.
    pub(super) fn correct_for_fallen_limit(&mut self) {
        if self.max_in_flight > self.limit {
            self.throughput = self.throughput.max(self.counted);
        }
    }

    /// Whether what is in flight is what arrives, times how long it stays. It is not while calls from
    /// before the window are served, or only the short calls have ended.
    pub(super) fn obeys_littles_law(&self, tuning: &Tuning) -> bool {
        let expected = self.counted * self.latency;
        (expected / self.in_flight.max(1.0)).ln().abs() < tuning.changed
    }

    /// Whether the calls that ended were there for longer than those in flight: calls from before.
    pub(super) fn holds_old_calls(&self, tuning: &Tuning) -> bool {
        self.counted * self.latency > (1.0 + tuning.changed) * self.in_flight.max(1.0)
    }

    /// Whether few others were in flight, so that a call is unlikely to have waited for one of them.
    pub(super) fn is_alone(&self, tuning: &Tuning) -> bool {
        is_alone(self.in_flight, self.limit, tuning)
    }

    /// The standard error of the mean latency, for calls that vary by this much.
    pub(super) fn error(&self, variation: f64) -> f64 {
        self.latency * variation / self.calls.sqrt()
    }
}

/// `in_flight` as a call finds it at its end, itself included.
fn is_alone(in_flight: f64, limit: f64, tuning: &Tuning) -> bool {
    in_flight - 1.0 < tuning.noticeable * limit
}

/// The share of slot time that was lost on calls which waited inside the service until their callers
/// left. The latencies of answered calls are then those of the fortunate ones, and too short.
///
/// Late calls that are long by nature are no loss: then answered calls have the no-load latency.
fn late(window: &Window, latency: f64, no_load: f64, tuning: &Tuning) -> f64 {
    if no_load <= 0.0 {
        return 0.0;
    }
    window.late.clamp(0.0, 1.0) * ramp(latency / no_load, 1.0 + tuning.changed, tuning.pays)
}

/// The saturation of a window; see [`Observation::saturation`].
fn saturation(window: &Window, calls: f64, in_flight: f64, tuning: &Tuning) -> f64 {
    let queued = window.without_slot.saturating_sub(window.rejected) as f64 / calls;
    let rejected = window.rejected as f64 / (calls + window.rejected as f64);
    let without_slot = queued.max(tuning.rejected_weight * rejected);
    // Bursts find no slot either, and leave slots unused in between.
    let occupied = in_flight / f64::from(window.limit);
    let certain = tuning.nearly_all;
    ramp(without_slot, tuning.queued_from, certain).min(ramp(
        occupied,
        tuning.occupied_from,
        certain,
    ))
}

/// 0 up to `from`, 1 from `to`, and linear in between.
fn ramp(value: f64, from: f64, to: f64) -> f64 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}
