//! HTTP/2 windows with which streams that are not read do not stall the others.

use std::time::Duration;

use tonic::transport::{Endpoint, Server};

/// HTTP/2 windows for streams: those that are not read do not stall the rest of their connection.
///
/// A receiver that does not read a stream keeps it in memory up to the window of the stream, and
/// all streams of a connection share the window of the connection. With the defaults of hyper,
/// three streams that a client does not read fill the window of its connection (5 MiB for 2 MiB a
/// stream), and one upload that a handler does not read fills that of the server (1 MiB for 1 MiB).
/// From then on every call on the connection is stalled, healthy ones included.
///
/// | setting | default | bound |
/// |---|---|---|
/// | [`stream`](crate::grpc::WindowsBuilder::stream) | 128 KiB | 64 to 256 KiB |
/// | [`max_concurrent_streams`](crate::grpc::WindowsBuilder::max_concurrent_streams) | 100 | the connection's window holds that of each stream |
/// | [`connection`](crate::grpc::WindowsBuilder::connection) | 100 streams, 12.5 MiB | at least 16 streams |
/// | [`keep_alive`](crate::grpc::WindowsBuilder::keep_alive) | a ping after 20 s, answered within 10 s | longer than 0 |
/// | adaptive windows | off | |
///
/// So each stream that is allowed has room for its whole window. tonic's own default for the number
/// of streams is no bound.
///
/// ```
/// use plimsoll_stream::grpc::Windows;
/// use tonic::transport::{Endpoint, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Windows::default().server(Server::builder());
/// let endpoint = Windows::default().endpoint(Endpoint::from_static("http://[::1]:50051"));
///
/// let narrow = Windows::builder().stream(64 << 10).max_concurrent_streams(32).build()?;
/// assert_eq!(narrow.connection(), 2 << 20);
/// # let _ = (server, endpoint);
/// # Ok(()) }
/// ```
///
/// # Which side protects what
///
/// Each side sets the windows of what it receives: the endpoint's are for responses, the server's
/// for requests. A client of another library keeps its own windows, and can stall its own
/// connection, but no other one. The server bounds the streams of each connection.
///
/// # Memory
///
/// At most the connection's window for each connection is received and not read: 12.5 MiB by
/// default, when 100 streams are not read. A stream that is read needs none of it.
///
/// # Throughput
///
/// A stream has at most one window in flight, so it transfers at most the window for each round
/// trip: 128 KiB in 50 ms are 2.5 MiB/s. For single large transfers over long distances use
/// 256 KiB, or a connection of their own without this preset.
#[doc(alias("windows()", "flow control", "http2", "keep-alive"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    pub(super) stream: u32,
    pub(super) connection: u32,
    pub(super) max_concurrent_streams: u32,
    pub(super) keep_alive: Option<KeepAlive>,
}

/// When a connection without an answer is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeepAlive {
    pub(super) every: Duration,
    pub(super) timeout: Duration,
}

impl Windows {
    /// Applies all settings to a server, before its services are added.
    ///
    /// Without a keep-alive the server's own is not changed.
    ///
    /// A server on a listener of its own (`serve_with_incoming`) ignores its `tcp_nodelay`: set it
    /// with `TcpIncoming::with_nodelay`, or a small message waits up to 40 ms for the
    /// acknowledgement of the one before it.
    pub fn server<L>(self, server: Server<L>) -> Server<L> {
        let server = server
            .initial_stream_window_size(self.stream)
            .initial_connection_window_size(self.connection)
            .http2_adaptive_window(Some(false))
            .max_concurrent_streams(self.max_concurrent_streams);
        match self.keep_alive {
            Some(KeepAlive { every, timeout }) => server
                .http2_keepalive_interval(Some(every))
                .http2_keepalive_timeout(Some(timeout)),
            None => server,
        }
    }

    /// Applies all settings but the number of streams, which is the server's, to an endpoint.
    ///
    /// Pings are sent while there are calls. Without a keep-alive the endpoint's own is not
    /// changed.
    pub fn endpoint(self, endpoint: Endpoint) -> Endpoint {
        let endpoint = endpoint
            .initial_stream_window_size(self.stream)
            .initial_connection_window_size(self.connection)
            .http2_adaptive_window(false);
        match self.keep_alive {
            Some(KeepAlive { every, timeout }) => endpoint
                .http2_keep_alive_interval(every)
                .keep_alive_timeout(timeout),
            None => endpoint,
        }
    }

    /// Returns the window of a stream in bytes.
    pub const fn stream(&self) -> u32 {
        self.stream
    }

    /// Returns the window of a connection in bytes.
    pub const fn connection(&self) -> u32 {
        self.connection
    }

    /// Returns how many streams a client may have open on a connection of the server.
    pub const fn max_concurrent_streams(&self) -> u32 {
        self.max_concurrent_streams
    }
}
