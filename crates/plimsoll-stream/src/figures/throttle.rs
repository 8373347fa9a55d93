//! A throttle.

use std::fmt;

use plimsoll_core::figures::{self, Figure, Figures};
use plimsoll_rate_limit::RateLimitHandle;

use crate::throttle::Throttle;

/// The quotas, and the items that have passed. A quota that the throttle does not have has no figure.
impl Figures for Throttle {
    fn policy(&self) -> &'static str {
        "throttle"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        if let Some(events) = self.events() {
            each(&EVENTS, per_second(&events));
        }
        if let Some(bytes) = self.bytes() {
            each(&BYTES, per_second(&bytes));
        }
        each(&figures::RECEIVED, self.passed() as f64);
        each(&DELAYED, self.delayed() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        if let Some(events) = self.events() {
            each("quota of events", &events.quota());
        }
        if let Some(bytes) = self.bytes() {
            each("quota of bytes", &bytes.quota());
        }
    }
}

fn per_second(handle: &RateLimitHandle) -> f64 {
    let quota = handle.quota();
    f64::from(quota.count()) / quota.period().as_secs_f64()
}

static EVENTS: Figure = Figure::gauge("quota_events", "Items per second that pass at most");
static BYTES: Figure = Figure::gauge("quota_weight", "Bytes per second that pass at most");
static DELAYED: Figure = Figure::counter("delayed", "Items that had to wait before they passed");
