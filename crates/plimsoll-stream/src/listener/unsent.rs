//! What the kernel holds for a client.

/// Bytes that the kernel took from the server and holds for a client.
///
/// The kernel is asked over netlink (`NETLINK_SOCK_DIAG`), as `ss` does, without privileges. The
/// numbers are those of `SIOCOUTQ` and `SIOCOUTQNSD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Unsent {
    /// Connections that were found: 1 for a single one.
    pub connections: u64,
    /// Bytes that the client has not acknowledged, sent or not.
    pub unacknowledged: u64,
    /// Those of them that were not sent yet: at most about `unsent_low_water` per connection, and
    /// what one write adds.
    pub unsent: u64,
}

impl Unsent {
    #[cfg(target_os = "linux")]
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            unacknowledged: self.unacknowledged + other.unacknowledged,
            unsent: self.unsent + other.unsent,
        }
    }
}
