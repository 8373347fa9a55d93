//! What the kernel holds for a client.

use std::net::SocketAddr;

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
    pub(super) fn of(local: SocketAddr, peer: SocketAddr) -> Option<Self> {
        super::netlink::ask(local, Some(peer)).filter(|found| found.connections > 0)
    }

    /// Both address families: a listener of IPv6 may serve IPv4, too.
    #[cfg(target_os = "linux")]
    pub(super) fn on_port(port: u16) -> Option<Self> {
        use std::net::{Ipv4Addr, Ipv6Addr};

        let v4 = super::netlink::ask((Ipv4Addr::UNSPECIFIED, port).into(), None)?;
        let v6 = super::netlink::ask((Ipv6Addr::UNSPECIFIED, port).into(), None);
        Some(v4.plus(v6.unwrap_or_default()))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: SocketAddr, _: SocketAddr) -> Option<Self> {
        None
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn on_port(_: u16) -> Option<Self> {
        None
    }

    #[cfg(target_os = "linux")]
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            unacknowledged: self.unacknowledged + other.unacknowledged,
            unsent: self.unsent + other.unsent,
        }
    }
}
