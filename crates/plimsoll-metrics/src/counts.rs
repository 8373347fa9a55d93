//! The counters of a gate at one time.

use plimsoll_core::{Class, Criticality, Kind};

/// The counters of a gate at one time.
///
/// Each request is in exactly one of `admitted`, `rejected` and `abandoned` once it has been
/// decided; while it is queued, it is in none of them. Each admitted request is in flight or
/// finished.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateCounts {
    /// Requests that were admitted.
    pub admitted: u64,
    /// Requests that left the queue before they could run.
    pub abandoned: u64,
    /// Answers whose body the caller dropped before its end. Each is also counted in the class of
    /// its head.
    pub body_dropped: u64,
    /// Requests from which a policy of this gate read no key, admitted or rejected.
    pub missing_keys: u64,
    /// Requests that were rejected, by policy and kind, in order of the first rejection.
    pub rejected: Vec<RejectionCount>,
    pub(crate) by_criticality: [u64; Criticality::ALL.len()],
    pub(crate) finished: [u64; Class::ALL.len()],
}

impl GateCounts {
    /// Requests that the gate has decided on: admitted, rejected, or abandoned in a queue.
    pub fn offered(&self) -> u64 {
        self.admitted + self.rejected() + self.abandoned
    }

    /// Admitted requests that ended with this class.
    pub const fn finished(&self, class: Class) -> u64 {
        self.finished[class.index()]
    }

    /// Admitted requests that ended because the caller left before the service had answered.
    pub const fn cancelled(&self) -> u64 {
        self.finished(Class::Cancelled)
    }

    /// Admitted requests that have not ended.
    pub fn in_flight(&self) -> u64 {
        self.admitted.saturating_sub(self.finished.iter().sum())
    }

    /// Requests that were rejected, by any policy.
    pub fn rejected(&self) -> u64 {
        self.rejected.iter().map(|series| series.count).sum()
    }

    /// Requests of this criticality that were rejected: as the request's
    /// [`Priority`](plimsoll_core::Priority) among its extensions has it, or as its header states
    /// it, or `CRITICAL`.
    pub const fn rejected_of(&self, criticality: Criticality) -> u64 {
        self.by_criticality[criticality as usize]
    }

    /// All classes with their label.
    pub(crate) fn classes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Class::ALL.map(Class::as_str).into_iter().zip(self.finished)
    }
}

/// Rejections by one policy of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectionCount {
    /// The policy, or `other` for policies beyond the sixteenth.
    pub policy: &'static str,
    /// The kind of the rejections.
    pub kind: Kind,
    /// The number of rejections.
    pub count: u64,
}
