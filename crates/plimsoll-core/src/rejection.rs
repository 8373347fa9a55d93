//! A rejection as a value: the policy, the reason, and when to retry.

use std::{fmt, time::Duration};

use crate::Allowance;

/// The reason of a rejection. The protocol maps it to a status.
#[doc(alias("429", "503", "504", "status"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The caller is over its own allowance: 429, `RESOURCE_EXHAUSTED`.
    OverQuota,
    /// The server is full: 503, `UNAVAILABLE`.
    Full,
    /// A circuit breaker is open: 503, `UNAVAILABLE`.
    CircuitOpen,
    /// The request's deadline cannot be met: 504, `DEADLINE_EXCEEDED`.
    Deadline,
    /// A sampler left the request out on purpose: 202, nothing to retry.
    Skipped,
}

impl Kind {
    /// All kinds, in the order of their [index](Self::index).
    pub const ALL: [Self; 5] = [
        Self::OverQuota,
        Self::Full,
        Self::CircuitOpen,
        Self::Deadline,
        Self::Skipped,
    ];

    /// Returns a small number for tables and counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns a lower-case name for labels and messages, such as `over-quota`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OverQuota => "over-quota",
            Self::Full => "full",
            Self::CircuitOpen => "circuit-open",
            Self::Deadline => "deadline",
            Self::Skipped => "skipped",
        }
    }
}

/// The policy that rejected a request, the reason, and when to retry. Plain data: creating one
/// allocates nothing.
///
/// [`Http`](crate::Http) writes it on the wire and keeps the value in the response's extensions.
/// [`Plain`](crate::Plain) returns it in the error.
#[doc(alias("429", "503", "too many requests", "overloaded"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    policy: &'static str,
    kind: Kind,
    retry_after: Option<Duration>,
    estimated: bool,
    allowance: Option<Allowance>,
    threshold: Option<u16>,
}

impl Rejection {
    /// A rejection by the policy called `policy` (such as `"rate-limit"`), without a retry hint.
    #[inline]
    pub const fn new(policy: &'static str, kind: Kind) -> Self {
        Self {
            policy,
            kind,
            retry_after: None,
            estimated: false,
            allowance: None,
            threshold: None,
        }
    }

    /// Sets how long the caller should wait before it retries.
    ///
    /// [`Http`](crate::Http) writes the exact value for [`Kind::OverQuota`] and
    /// [`Kind::CircuitOpen`]. For [`Kind::Full`] the value is an estimate: retries are spread
    /// evenly between it and twice it, over at least 2 s. Other kinds have no hint on the wire.
    #[doc(alias("retry-after", "backoff"))]
    #[must_use]
    #[inline]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Sets an estimate of how long the caller should wait: retries are spread as for
    /// [`Kind::Full`], whatever the kind.
    #[must_use]
    #[inline]
    pub const fn with_estimated_retry_after(mut self, estimate: Duration) -> Self {
        self.retry_after = Some(estimate);
        self.estimated = true;
        self
    }

    /// Sets the caller's quota and what is left of it.
    #[must_use]
    #[inline]
    pub const fn with_allowance(mut self, allowance: Allowance) -> Self {
        self.allowance = Some(allowance);
        self
    }

    /// Sets the [level](crate::Priority::level) below which all requests are shed now, so that the
    /// caller can shed before it sends.
    #[must_use]
    #[inline]
    pub const fn with_threshold(mut self, level: u16) -> Self {
        self.threshold = Some(level);
        self
    }

    /// Returns the name of the policy that rejected.
    pub const fn policy(&self) -> &'static str {
        self.policy
    }

    /// Returns the reason.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns how long the caller should wait. `None` when the policy cannot say when the same
    /// request would be admitted.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns whether [`retry_after`](Self::retry_after) is an estimate, so that retries are spread
    /// upwards from it.
    pub const fn is_estimate(&self) -> bool {
        self.estimated || matches!(self.kind, Kind::Full)
    }

    /// Returns the caller's quota, if the policy set it.
    pub const fn allowance(&self) -> Option<&Allowance> {
        self.allowance.as_ref()
    }

    /// Returns the level below which all requests are shed, if the policy set it.
    pub const fn threshold(&self) -> Option<u16> {
        self.threshold
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rejected by {}: {}", self.policy, self.kind.as_str())
    }
}

impl std::error::Error for Rejection {}
