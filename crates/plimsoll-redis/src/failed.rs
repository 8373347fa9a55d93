//! Failures of a question.

use std::fmt;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The connection broke, or does not exist.
    Lost,
    /// Redis answered with an error.
    Error,
    /// Redis gave an answer that the scripts never give.
    Nonsense,
    /// The deadline passed.
    Timeout,
    /// The queue is full.
    Full,
    /// The breaker is open.
    Open,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "no connection",
            Self::Error => "the answer is an error",
            Self::Nonsense => "the answer is invalid",
            Self::Timeout => "no answer in time",
            Self::Full => "the queue of the connection is full",
            Self::Open => "the circuit breaker is open",
        })
    }
}
