//! `NETLINK_SOCK_DIAG`: the queues of TCP sockets, without `unsafe`.
//!
//! The numbers are those of `linux/netlink.h`, `linux/sock_diag.h`, `linux/inet_diag.h` and
//! `linux/tcp.h`, which are part of the kernel's stable interface.
#![cfg(target_os = "linux")]

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};

use super::unsent::Unsent;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
/// `NLM_F_ROOT | NLM_F_MATCH`
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const IPPROTO_TCP: u8 = 6;
const INET_DIAG_INFO: u16 = 2;
/// Size of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Size of `struct inet_diag_msg`, and the offsets of `idiag_state` and `idiag_wqueue` in it.
const DIAG: usize = 72;
const STATE: usize = 1;
const WQUEUE: usize = 60;
/// Offset of `tcpi_notsent_bytes` in `struct tcp_info`.
const NOTSENT: usize = 144;
/// `1 << state` of the states in which a socket has data to send: established, FIN-WAIT-1,
/// CLOSE-WAIT, LAST-ACK, CLOSING.
const STATES: u32 = 1 << 1 | 1 << 4 | 1 << 8 | 1 << 9 | 1 << 11;

/// Sums up the connection between both ends, or all connections on the local port.
///
/// `None` when the kernel does not answer, as in some sandboxes.
pub(super) fn ask(local: SocketAddr, peer: Option<SocketAddr>) -> Option<Unsent> {
    let protocol = Some(Protocol::from(NETLINK_SOCK_DIAG));
    let mut socket = Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, protocol).ok()?;
    // The answer is there when `send` returns, so nothing ever waits.
    socket.set_nonblocking(true).ok()?;
    socket.write_all(&request(local, peer)).ok()?;
    let mut found = Unsent::default();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = socket.read(&mut buffer).ok()?;
        let may_continue = read(buffer.get(..length)?, &mut found)?;
        if !may_continue || peer.is_some() {
            return Some(found);
        }
    }
}

fn request(local: SocketAddr, peer: Option<SocketAddr>) -> Vec<u8> {
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    let flags = match peer {
        Some(_) => NLM_F_REQUEST,
        None => NLM_F_REQUEST | NLM_F_DUMP,
    };
    let mut out = Vec::with_capacity(HEADER + 56);
    out.extend(72_u32.to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    // Sequence number and port, which only matter when requests overlap.
    out.extend([0; 8]);
    out.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    out.extend(STATES.to_ne_bytes());
    out.extend(local.port().to_be_bytes());
    out.extend(peer.map_or(0, |peer| peer.port()).to_be_bytes());
    out.extend(address(local.ip()));
    out.extend(peer.map_or([0; 16], |peer| address(peer.ip())));
    // Any interface, and any cookie.
    out.extend(0_u32.to_ne_bytes());
    out.extend([0xff; 8]);
    out
}

/// 16 bytes, of which IPv4 uses the first four.
fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Adds the sockets of one datagram. Returns whether more may follow; `None` for an error, apart
/// from a socket that does not exist.
fn read(mut datagram: &[u8], found: &mut Unsent) -> Option<bool> {
    /// `-ENOENT`
    const NO_SUCH_SOCKET: u32 = -2_i32 as u32;
    while !datagram.is_empty() {
        let length = u32_at(datagram, 0)? as usize;
        let message = datagram.get(HEADER..length)?;
        match u16_at(datagram, 4)? {
            NLMSG_DONE => return Some(false),
            NLMSG_ERROR if u32_at(message, 0)? == NO_SUCH_SOCKET => return Some(false),
            SOCK_DIAG_BY_FAMILY => *found = found.plus(socket(message)?),
            _ => return None,
        }
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Some(true)
}

fn socket(message: &[u8]) -> Option<Unsent> {
    let state = *message.get(STATE)?;
    if STATES.checked_shr(state.into())? & 1 == 0 {
        // For a connection that no longer exists the kernel returns the listening socket.
        return Some(Unsent::default());
    }
    let mut unsent = 0;
    let mut attributes = message.get(DIAG..)?;
    while attributes.len() >= 4 {
        let length = usize::from(u16_at(attributes, 0)?);
        if u16_at(attributes, 2)? == INET_DIAG_INFO {
            unsent = u32_at(attributes.get(4..length)?, NOTSENT).unwrap_or_default();
        }
        attributes = attributes
            .get(length.max(4).next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Some(Unsent {
        connections: 1,
        unacknowledged: u32_at(message, WQUEUE)?.into(),
        unsent: unsent.into(),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}
