//! A refusal as a value: who refused, why, and when to come back.

use std::{fmt, time::Duration};

use crate::Allowance;

/// Why a request was refused; the protocol turns it into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// This caller is over its own allowance: 429, `RESOURCE_EXHAUSTED`.
    OverQuota,
    /// The server is full: 503, `UNAVAILABLE`.
    Full,
    /// A circuit breaker is open: 503, `UNAVAILABLE`.
    CircuitOpen,
    /// The request's deadline cannot be met: 504, `DEADLINE_EXCEEDED`.
    Deadline,
    /// Taken note of and left out on purpose, by a sampler: 202, and nothing to retry.
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

    /// A small number for tables and counters.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// A lower-case name for labels and messages, such as `over-quota`.
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

/// Why a request was turned away. Plain data: making one allocates nothing.
///
/// [`Http`](crate::Http) writes it on the wire and leaves the value itself in the response's extensions;
/// [`Plain`](crate::Plain) returns it in the error.
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
    /// A refusal by the policy called `policy` (such as `"rate-limit"`), without a hint when to come back.
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

    /// Tells the caller when to come back.
    ///
    /// [`Http`](crate::Http) writes the figure as it is for [`Kind::OverQuota`] and
    /// [`Kind::CircuitOpen`]. For [`Kind::Full`] it is an estimate: returns are spread evenly from it
    /// to twice it, over 2 s at least. Other kinds have no hint on the wire.
    #[must_use]
    #[inline]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Tells the caller about when to come back, by an estimate: returns are spread as for
    /// [`Kind::Full`], whatever the kind.
    #[must_use]
    #[inline]
    pub const fn retry_after_about(mut self, estimate: Duration) -> Self {
        self.retry_after = Some(estimate);
        self.estimated = true;
        self
    }

    /// Tells the caller its quota and what is left of it.
    #[must_use]
    #[inline]
    pub const fn allowance(mut self, allowance: Allowance) -> Self {
        self.allowance = Some(allowance);
        self
    }

    /// Tells the caller the [level](crate::Priority::level) below which all is shed now, so that it can shed before it
    /// sends.
    #[must_use]
    #[inline]
    pub const fn threshold(mut self, level: u16) -> Self {
        self.threshold = Some(level);
        self
    }

    /// The name of the policy that refused.
    pub const fn policy(&self) -> &'static str {
        self.policy
    }

    /// Why it refused.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How long the caller should stay away. `None`: the policy knows no moment at which the same request would
    /// pass.
    pub const fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether [`wait`](Self::wait) is an estimate, so that returns are spread from it upwards.
    pub const fn is_estimate(&self) -> bool {
        self.estimated || matches!(self.kind, Kind::Full)
    }

    /// The caller's quota, when the policy told it.
    pub const fn quota(&self) -> Option<&Allowance> {
        self.allowance.as_ref()
    }

    /// The level below which all is shed, when the policy told it.
    pub const fn shed_below(&self) -> Option<u16> {
        self.threshold
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused by {}: {}", self.policy, self.kind.as_str())
    }
}

impl std::error::Error for Rejection {}
