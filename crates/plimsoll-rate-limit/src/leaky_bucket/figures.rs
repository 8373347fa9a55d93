//! The figures of a leaky bucket, for metrics and dashboards.

use std::fmt;

use plimsoll_core::{
    LoadSignal,
    figures::{self, Figure, Figures},
};

use super::{bucket::LeakyBucket, handle::LeakyBucketHandle};

/// The queue and the load of the cell that made the handle, and the counters of all keys.
impl Figures for LeakyBucketHandle {
    fn policy(&self) -> &'static str {
        LeakyBucket::NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::QUEUED, self.waiting() as f64);
        each(&figures::QUEUE_CAPACITY, self.max_waiting() as f64);
        each(&figures::LOAD, self.load());
        self.read_shared(each);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        let (count, period) = self.rate();
        each("rate", &format_args!("{count} in {period:?}"));
        each(
            "queue",
            &format_args!(
                "{} places, at most {:?}",
                self.max_waiting(),
                self.max_wait()
            ),
        );
    }
}

impl LeakyBucketHandle {
    fn read_shared(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let (count, period) = self.rate();
        each(&figures::QUOTA, f64::from(count) / period.as_secs_f64());
        each(&figures::REJECTED, self.rejected() as f64);
        each(&figures::ABANDONED, self.abandoned() as f64);
        each(&PAST_DEADLINE, self.past_deadline() as f64);
    }
}

/// What the cells of a bucket per key share.
pub(super) struct PerKey(pub(super) LeakyBucketHandle);

impl Figures for PerKey {
    fn policy(&self) -> &'static str {
        LeakyBucket::NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        self.0.read_shared(each);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        self.0.settings(each);
    }
}

static PAST_DEADLINE: Figure =
    Figure::counter("past_deadline", "Requests whose deadline could not be met");
