//! How a call ended: one vocabulary for every policy.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

use crate::Spent;

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
    /// The service answered, and the answer is the caller's doing (a 404, say): neither a success nor
    /// a failure of the service.
    Ignored,
    /// The caller left before the service had answered.
    Cancelled,
    /// An inner gate rejected the request: the service behind it was not called. Statistics leave it
    /// out.
    Rejected,
}

impl Class {
    /// All classes, in the order of their [index](Self::index).
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::Failure,
        Self::Overloaded,
        Self::Ignored,
        Self::Cancelled,
        Self::Rejected,
    ];

    /// A small number for tables and counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The class of a call that is dropped now, before its end.
    pub(crate) fn cut_off() -> Self {
        if std::thread::panicking() {
            Self::Failure
        } else {
            Self::Cancelled
        }
    }

    /// A lower-case name for labels, such as `success`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Overloaded => "overloaded",
            Self::Ignored => "ignored",
            Self::Cancelled => "cancelled",
            Self::Rejected => "rejected",
        }
    }
}

/// How a call ended, as a protocol reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The class of the answer.
    pub class: Class,
    /// The caller dropped the response body before its end.
    pub body_dropped: bool,
}

impl From<Class> for End {
    /// The answer was handed out, or there was none.
    #[inline]
    fn from(class: Class) -> Self {
        Self {
            class,
            body_dropped: false,
        }
    }
}

/// No head came.
pub(crate) const NO_HEAD: u64 = u64::MAX;

/// How one admitted call went, told to [`Policy::finish`](crate::Policy::finish).
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What kind of end it had.
    pub class: Class,
    body_dropped: bool,
    spent: Spent,
    waited_micros: u32,
    started: Instant,
    /// Nanoseconds to the head, or [`NO_HEAD`].
    latency: u64,
    /// Read from the clock when first asked for: most policies never ask.
    ended: Cell<Option<Instant>>,
}

impl Outcome {
    /// An outcome of a call that did not wait, whose head came after `latency`, and whose permit ended at `ended`.
    pub fn new(class: Class, latency: Duration, ended: Instant) -> Self {
        let started = ended.checked_sub(latency).unwrap_or(ended);
        Self {
            class,
            body_dropped: false,
            spent: Spent::default(),
            waited_micros: 0,
            started,
            latency: u64::try_from(latency.as_nanos()).unwrap_or(NO_HEAD - 1),
            ended: Cell::new(Some(ended)),
        }
    }

    /// An outcome of a call that ends now, the clock unread.
    #[inline]
    pub(crate) fn ending_now(
        end: End,
        spent: Spent,
        waited_micros: u32,
        started: Instant,
        latency: u64,
    ) -> Self {
        Self {
            class: end.class,
            body_dropped: end.body_dropped,
            spent,
            waited_micros,
            started,
            latency,
            ended: Cell::new(None),
        }
    }

    /// The same outcome of a call that spent this.
    #[must_use]
    pub fn spending(mut self, spent: Spent) -> Self {
        self.spent = spent;
        self
    }

    /// Bytes of data in the response's body that were handed out.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.spent.bytes
    }

    /// What the handler reported through [`Cost`](crate::Cost), in units of its own; 0 when it said nothing.
    #[inline]
    pub fn cost(&self) -> u64 {
        self.spent.cost
    }

    /// Whether the caller dropped the response body before its end. The class is still that of the
    /// head: the service had answered.
    #[inline]
    pub fn body_dropped(&self) -> bool {
        self.body_dropped
    }

    /// How long it waited in queues before it ran, in whole microseconds; more than 71 minutes are 71 minutes.
    #[inline]
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.waited_micros.into())
    }

    /// From the start of the call to the head of the response, or to the end of the call when no head came.
    /// The body's time is not in it: a long download is not a slow service.
    #[inline]
    pub fn latency(&self) -> Duration {
        match self.latency {
            NO_HEAD => self.ran(),
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// The moment the call started: when it was let in.
    #[inline]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The moment of the head of the response, or the end of the call when no head came. A latency has to be read:
    /// see [`Policy::reads_latency`](crate::Policy::reads_latency).
    #[inline]
    pub fn head_at(&self) -> Instant {
        match self.latency {
            NO_HEAD => self.ended(),
            nanos => self.started + Duration::from_nanos(nanos),
        }
    }

    /// From the start of the call to its end, the body included.
    #[inline]
    pub fn ran(&self) -> Duration {
        self.ended().saturating_duration_since(self.started)
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn labels_are_the_lower_case_names_in_the_order_of_the_indices() {
        let labels = Class::ALL.map(|class| (class.index(), class.as_str()));
        let names = Class::ALL.map(|class| format!("{class:?}").to_lowercase());
        for (index, (of, label)) in labels.into_iter().enumerate() {
            assert_eq!((of, label), (index, names[index].as_str()));
        }
    }

    #[test]
    fn the_wait_is_told_in_microseconds() {
        let end = End::from(Class::Success);
        let outcome = Outcome::ending_now(end, Spent::default(), 1_500, Instant::now(), NO_HEAD);
        assert_eq!(outcome.waited(), Duration::from_micros(1_500));
    }
}
