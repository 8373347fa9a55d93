//! Why a limit is what it is.

use std::fmt;

/// Why a limit has its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum LimitReason {
    /// It is the initial limit, or [`set_limit`](crate::ConcurrencyLimitHandle::set_limit) changed it.
    #[default]
    Set,
    /// It is [pinned](crate::ConcurrencyLimitHandle::pin).
    Pinned,
    /// All requests found a slot, so nothing is known about a higher limit.
    Idle,
    /// Requests found no slot, and the service can do more.
    Growth,
    /// The latency rose.
    Latency,
    /// Calls were dropped.
    Drops,
    /// More requests in flight did not raise the throughput.
    Throughput,
    /// The limit is low for a moment, to measure the no-load latency.
    Probe,
    /// The limit fits.
    Steady,
}

impl LimitReason {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Set,
        Self::Pinned,
        Self::Idle,
        Self::Growth,
        Self::Latency,
        Self::Drops,
        Self::Throughput,
        Self::Probe,
        Self::Steady,
    ];

    /// A lower-case name for labels, such as `latency`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Pinned => "pinned",
            Self::Idle => "idle",
            Self::Growth => "growth",
            Self::Latency => "latency",
            Self::Drops => "drops",
            Self::Throughput => "throughput",
            Self::Probe => "probe",
            Self::Steady => "steady",
        }
    }
}

impl fmt::Display for LimitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
