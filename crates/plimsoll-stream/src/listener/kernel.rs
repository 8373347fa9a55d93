//! What the kernel holds for clients, on systems where it can be asked.

use std::net::SocketAddr;

use super::unsent::Unsent;

/// For one connection.
#[cfg(target_os = "linux")]
pub(super) fn unsent(local: SocketAddr, peer: SocketAddr) -> Option<Unsent> {
    super::netlink::ask(local, Some(peer)).filter(|found| found.connections > 0)
}

/// For all connections on a port, of both address families: a listener of IPv6 may serve IPv4, too.
#[cfg(target_os = "linux")]
pub(super) fn unsent_on_port(port: u16) -> Option<Unsent> {
    use std::net::{Ipv4Addr, Ipv6Addr};

    let v4 = super::netlink::ask((Ipv4Addr::UNSPECIFIED, port).into(), None)?;
    let v6 = super::netlink::ask((Ipv6Addr::UNSPECIFIED, port).into(), None);
    Some(v4.plus(v6.unwrap_or_default()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn unsent(_: SocketAddr, _: SocketAddr) -> Option<Unsent> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn unsent_on_port(_: u16) -> Option<Unsent> {
    None
}
