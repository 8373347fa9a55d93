//! The figures of a limit, for metrics and dashboards.

use std::{fmt, sync::Arc};

use plimsoll_core::figures::{self, Change, Figure, Figures};

use super::{NAME, handle::ConcurrencyLimitHandle};
use crate::LimitReason;

/// Slots and queue of the limit or cell that made the handle, and the counters of all keys.
impl Figures for ConcurrencyLimitHandle {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::LIMIT, self.limit() as f64);
        each(&figures::IN_USE, self.in_flight() as f64);
        each(&figures::QUEUED, self.queued() as f64);
        each(&figures::QUEUE_CAPACITY, f64::from(self.places()));
        self.read_counters(each);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each(figures::LIMIT_REASON, &self.reason());
        // The limit itself is a figure, and reports its changes.
        match self.bounds() {
            Some(bounds) => {
                each(
                    "bounds",
                    &format_args!("{} to {}", bounds.start(), bounds.end()),
                );
                match self.pinned() {
                    Some(limit) => each("pinned at", &limit),
                    None => each("pinned at", &"not pinned"),
                }
            }
            None => each("bounds", &"fixed"),
        }
        match self.queue() {
            // The places are a figure; they follow the limit, and are no setting either.
            _ if self.bounds().is_some() => each("queue", &"follows the limit"),
            Some((len, wait)) => each("queue", &format_args!("{len} places, at most {wait:?}")),
            None => each("queue", &"no queue"),
        }
        match self.controlled_delay() {
            Some((target, interval)) => {
                each(
                    "controlled delay",
                    &format_args!("{target:?} in {interval:?}"),
                );
            }
            None => each("controlled delay", &"off"),
        }
        match self.max_stall() {
            Some(longest) => each("longest stall", &format_args!("{longest:?}")),
            None => each("longest stall", &"off"),
        }
    }

    fn on_change(&self, callback: Arc<dyn Fn(&Change) + Send + Sync>) {
        self.on_limit_change(move |change| {
            let (from, to) = (change.from as f64, change.to as f64);
            let reported = Change::new(&figures::LIMIT, from, to, change.reason.as_str());
            callback(&match change.reason {
                LimitReason::Set | LimitReason::Pinned => reported.by_hand(),
                _ => reported,
            });
        });
    }
}

impl ConcurrencyLimitHandle {
    /// What all keys share.
    fn read_counters(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::REJECTED, self.rejected() as f64);
        each(&figures::TIMED_OUT, self.timed_out() as f64);
        each(&figures::ABANDONED, self.abandoned() as f64);
        each(&EVICTED, self.evicted() as f64);
        each(&OVERDUE, self.overdue() as f64);
        each(&PAST_DEADLINE, self.past_deadline() as f64);
        each(&STALLED, self.stalled() as f64);
    }
}

/// What the cells of a limit per key share: the limit of each key, and the counters. Slots in use
/// are those of single keys, and are left out.
pub(super) struct PerKey(pub(super) ConcurrencyLimitHandle);

impl Figures for PerKey {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::LIMIT, self.0.limit() as f64);
        self.0.read_counters(each);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        self.0.settings(each);
    }

    fn on_change(&self, callback: Arc<dyn Fn(&Change) + Send + Sync>) {
        self.0.on_change(callback);
    }
}

static EVICTED: Figure = Figure::counter(
    "queue_evicted",
    "Waiters that requests of a higher priority evicted",
);
static OVERDUE: Figure = Figure::counter(
    "queue_overdue",
    "Waiters that the controlled delay rejected",
);
static PAST_DEADLINE: Figure =
    Figure::counter("past_deadline", "Requests whose deadline could not be met");
static STALLED: Figure = Figure::counter("stalled", "Slots reclaimed from unread responses");
