//! How a call ended, in one vocabulary for every policy.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

use crate::{Spent, epoch};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Class {
    /// The service answered successfully.
    Success,
    /// The service failed: an error, a 5xx, a broken body.
    Failure,
    /// The service reported that it is overloaded (503, 429, `UNAVAILABLE`, `RESOURCE_EXHAUSTED`).
    /// Never counted as a fast success.
    Overloaded,
    /// The caller caused the answer (for example a 404): neither a success nor a failure of the
    /// service.
    Ignored,
    /// The caller left before the service had answered.
    Cancelled,
    /// An inner gate rejected the request, so the service was not called. Statistics leave it out.
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

    /// Returns a small number for tables and counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The class of a call that is dropped before its end.
    pub(crate) fn cut_off() -> Self {
        if std::thread::panicking() {
            Self::Failure
        } else {
            Self::Cancelled
        }
    }

    /// Returns a lower-case name for labels, such as `success`.
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
    /// Whether the caller dropped the response body before its end.
    pub body_dropped: bool,
}

impl From<Class> for End {
    /// The end of a call whose answer was handed out, or that had none.
    #[inline]
    fn from(class: Class) -> Self {
        Self {
            class,
            body_dropped: false,
        }
    }
}

/// `latency` of a call without a response head.
pub(crate) const NO_HEAD: u64 = u64::MAX;

/// The end of one admitted call, passed to [`Policy::finish`](crate::Policy::finish).
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How the call ended.
    pub class: Class,
    body_dropped: bool,
    spent: Spent,
    waited_micros: u32,
    started: Instant,
    /// Nanoseconds from the call to the head, or [`NO_HEAD`].
    latency: u64,
    /// Performance: the clock is read on the first use, since most policies never use it
    /// (`instructions`, `rate-limit@accept`).
    ended: Cell<Option<Instant>>,
}

impl Outcome {
    /// The outcome of a call without a wait, whose head came after `latency` and whose permit ended
    /// at `ended`.
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

    /// The outcome of a call that ends now; the clock is not read yet.
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

    /// Sets what the call spent.
    #[must_use]
    pub fn spending(mut self, spent: Spent) -> Self {
        self.spent = spent;
        self
    }

    /// Returns the bytes of the response's body that were handed out.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.spent.bytes
    }

    /// Returns what the handler reported through [`Cost`](crate::Cost), in the handler's unit; 0
    /// without a report.
    #[inline]
    pub fn cost(&self) -> u64 {
        self.spent.cost
    }

    /// Returns whether the caller dropped the response body before its end. The class stays that of
    /// the head, since the service had answered.
    #[inline]
    pub fn body_dropped(&self) -> bool {
        self.body_dropped
    }

    /// Returns the time in queues in whole microseconds, at most 71 minutes.
    #[inline]
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.waited_micros.into())
    }

    /// Returns the time from the start of the call to the response head. Without a head, it ends
    /// with the call.
    ///
    /// The body is excluded: a long download does not make a service slow.
    #[inline]
    pub fn latency(&self) -> Duration {
        match self.latency {
            NO_HEAD => self.ran(),
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// As [`latency`](Self::latency), in nanoseconds.
    ///
    /// Performance: a `Duration` is split into seconds and nanoseconds, and a sum of latencies needs
    /// them together again (`instructions`, `adaptive@accept`).
    #[inline]
    pub fn latency_nanos(&self) -> u64 {
        match self.latency {
            NO_HEAD => self.ran_nanos(),
            nanos => nanos,
        }
    }

    /// Returns nanoseconds from the start of the call to the response head; `None` if there was no
    /// head. Reads no clock.
    #[inline]
    pub fn head_nanos(&self) -> Option<u64> {
        (self.latency != NO_HEAD).then_some(self.latency)
    }

    /// Returns when the call started: when it was admitted.
    #[inline]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Returns when the response head came, or when the call ended if there was no head. Needs the
    /// latency: see [`Interests::with_latency`](crate::policy::Interests::with_latency).
    #[inline]
    pub fn head_at(&self) -> Instant {
        match self.latency {
            NO_HEAD => self.ended(),
            nanos => self.started + Duration::from_nanos(nanos),
        }
    }

    /// Returns the time from the start of the call to its end, including the body.
    #[inline]
    pub fn ran(&self) -> Duration {
        self.ended().saturating_duration_since(self.started)
    }

    /// As [`ran`](Self::ran), in nanoseconds.
    pub fn ran_nanos(&self) -> u64 {
        epoch::nanos_between(self.started, self.ended())
    }

    /// Returns when the permit ended: by default at the end of the body.
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
    fn labels_are_lower_case_names_in_the_order_of_the_indices() {
        let labels = Class::ALL.map(|class| (class.index(), class.as_str()));
        let names = Class::ALL.map(|class| format!("{class:?}").to_lowercase());
        for (index, (of, label)) in labels.into_iter().enumerate() {
            assert_eq!((of, label), (index, names[index].as_str()));
        }
    }

    #[test]
    fn waited_returns_whole_microseconds() {
        let end = End::from(Class::Success);
        let outcome = Outcome::ending_now(end, Spent::default(), 1_500, Instant::now(), NO_HEAD);
        assert_eq!(outcome.waited(), Duration::from_micros(1_500));
    }
}
