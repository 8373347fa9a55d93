//! The figures of a limit, for metrics and dashboards.

use std::{fmt, sync::Arc};

use plimsoll_core::figures::{self, Change, Figure, Figures};

use super::{handle::ConcurrencyLimitHandle, policy::NAME};

impl Figures for ConcurrencyLimitHandle {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::LIMIT, self.limit() as f64);
        each(&figures::IN_USE, self.in_flight() as f64);
        each(&figures::QUEUED, self.queued() as f64);
        let places = self.queue().map_or(0, |(len, _)| len);
        each(&figures::QUEUE_CAPACITY, places as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("limit changed because", &self.reason());
    }

    fn on_change(&self, callback: Arc<dyn Fn(&Change) + Send + Sync>) {
        self.on_limit_change(move |change| {
            let (from, to) = (change.from as f64, change.to as f64);
            callback(&Change::new(
                &figures::LIMIT,
                from,
                to,
                change.reason.to_string(),
            ));
        });
    }
}
