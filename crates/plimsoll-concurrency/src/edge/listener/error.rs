//! Why a listener cannot be made, or its limits set.

/// A limit of a listener is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidListener {
    /// The limit on connections is 0 or too high.
    #[error("connections must be in 1..=2^20, got {0}")]
    Connections(usize),
    /// The limit on connections per address is 0 or too high.
    #[error("connections per address must be in 1..=2^20, got {0}")]
    PerAddress(usize),
    /// The listener was created without a limit per address, so its open connections were not
    /// counted by address.
    #[error(
        "the listener does not count by address: set a limit with `BoundedListener::per_address` first"
    )]
    NotCounted,
}
