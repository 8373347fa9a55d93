//! How a call ended: one vocabulary for every policy.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

/// What kind of end a call had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// It was answered well.
    Success,
    /// The service failed: an error, a 5xx, a broken body.
    Failure,
    /// The service said that it is overloaded (503, 429, `UNAVAILABLE`, `RESOURCE_EXHAUSTED`). Never a fast success.
    Overloaded,
    /// The answer says nothing about the service's health (a 404, say): statistics leave it out.
    Ignored,
    /// The caller left before the end.
    Cancelled,
}

/// How one admitted call went, told to [`Policy::finish`](crate::Policy::finish).
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What kind of end it had.
    pub class: Class,
    /// How long it waited in queues before it ran.
    pub waited: Duration,
    /// From the start of the call to the head of the response, or to the end of the call when no head came.
    /// The body's time is not in it: a long download is not a slow service.
    pub latency: Duration,
    /// Read from the clock when first asked for: most policies never ask.
    ended: Cell<Option<Instant>>,
}

impl Outcome {
    /// An outcome of a call that ended at `ended`, with nothing waited.
    pub fn new(class: Class, latency: Duration, ended: Instant) -> Self {
        Self {
            class,
            waited: Duration::ZERO,
            latency,
            ended: Cell::new(Some(ended)),
        }
    }

    /// An outcome of a call that ends now, the clock unread.
    #[inline]
    pub(crate) fn ending_now(class: Class, waited: Duration, latency: Duration) -> Self {
        Self {
            class,
            waited,
            latency,
            ended: Cell::new(None),
        }
    }

    /// The moment the permit was given back: the end of the body, by default.
    #[inline]
    pub fn ended(&self) -> Instant {
        if let Some(ended) = self.ended.get() {
            return ended;
        }
        let now = Instant::now();
        self.ended.set(Some(now));
        now
    }
}
