//! Why a listener cannot be made, or its limits set.

use std::fmt;

/// A limit of a listener is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidListener {
    /// The limit on connections is 0 or too high.
    Connections(usize),
    /// The limit on connections per address is 0 or too high.
    PerAddress(usize),
    /// The listener was created without a limit per address, so its open connections were not
    /// counted by address.
    NotCounted,
}

impl fmt::Display for InvalidListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connections(got) => write!(f, "connections must be in 1..=2^20, got {got}"),
            Self::PerAddress(got) => write!(f, "connections per address must be in 1..=2^20, got {got}"),
            Self::NotCounted => f.write_str("the listener does not count by address: set a limit with `BoundedListener::per_address` first"),
        }
    }
}

impl std::error::Error for InvalidListener {}
