//! The options of one socket.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// What is set on each accepted socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    pub(super) nodelay: bool,
    pub(super) unsent_low_water: Option<u32>,
    pub(super) user_timeout: Option<Duration>,
    pub(super) keep_alive: Option<Duration>,
}

impl Options {
    /// Sets all options that this system has, and returns the first error.
    ///
    /// A socket whose peer has already left fails here on some systems; its next read reports it.
    pub(super) fn apply(&self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream);
        let nodelay = socket.set_tcp_nodelay(self.nodelay);
        let low_water = self.unsent_low_water.map_or(Ok(()), |bytes| {
            #[cfg(any(target_os = "android", target_os = "linux"))]
            return socket.set_tcp_notsent_lowat(bytes);
            #[cfg(not(any(target_os = "android", target_os = "linux")))]
            {
                _ = bytes;
                Ok(())
            }
        });
        let user_timeout = self.user_timeout.map_or(Ok(()), |timeout| {
            #[cfg(any(
                target_os = "android",
                target_os = "cygwin",
                target_os = "fuchsia",
                target_os = "linux",
            ))]
            return socket.set_tcp_user_timeout(Some(timeout));
            #[cfg(not(any(
                target_os = "android",
                target_os = "cygwin",
                target_os = "fuchsia",
                target_os = "linux",
            )))]
            {
                _ = timeout;
                Ok(())
            }
        });
        let keep_alive = self.keep_alive.map_or(Ok(()), |idle| {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))
        });
        nodelay.and(low_water).and(user_timeout).and(keep_alive)
    }
}

/// Makes the kernel discard what it has not sent, and reset the connection, when it is closed.
///
/// Without it a closed socket keeps its send buffer until the client reads, or the timeout of
/// `TCP_USER_TIMEOUT`.
pub(super) fn discard_on_close(stream: &TcpStream) {
    // On error the kernel frees the buffer later.
    _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
