//! The builder of windows.

use std::time::Duration;

use crate::grpc::windows::{KeepAlive, Windows};

/// Bytes that a stream may have on its way. Below 64 KiB, less than the default of HTTP/2 itself, a
/// stream needs a round trip for each two frames; above 256 KiB, 16 streams fill 4 MiB of each
/// connection. `windows_out_of_bounds_name_field_and_bound`.
const STREAM: (u32, u32) = (64 << 10, 256 << 10);
/// Streams whose windows a connection holds at least: with fewer, a page of parallel calls that are
/// read late stalls the connection. `windows_out_of_bounds_name_field_and_bound`.
const MIN_RATIO: u32 = 16;
/// The largest window of HTTP/2 (RFC 9113, 6.9.1).
const MAX_WINDOW: u32 = i32::MAX as u32;
/// The least that RFC 9113, 6.5.2 recommends, so that parallelism is not limited without need.
/// `a_client_that_opens_10_000_streams_is_bounded_and_others_are_served` is slower when it is more.
const MAX_STREAMS: u32 = 100;

const DEFAULT_STREAM: u32 = 128 << 10;
const KEEP_ALIVE: KeepAlive = KeepAlive {
    every: Duration::from_secs(20),
    timeout: Duration::from_secs(10),
};

/// A setting of [`Windows`] is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWindows {
    /// The window of a stream.
    #[error("stream must be 65536 to 262144 bytes (64 to 256 KiB), got {bytes}")]
    Stream {
        /// The value.
        bytes: u32,
    },
    /// The window of a connection.
    #[error("connection must be {min} (16 streams) to 2147483647 bytes, got {bytes}")]
    Connection {
        /// The value.
        bytes: u32,
        /// The least: 16 times the window of a stream.
        min: u32,
    },
    /// The number of streams.
    #[error(
        "max_concurrent_streams must be 1 to {max}, whose windows fit that of the connection, got {streams}"
    )]
    MaxConcurrentStreams {
        /// The value.
        streams: u32,
        /// The most.
        max: u32,
    },
    /// A time of the keep-alive.
    #[error("keep_alive must be longer than 0, got 0 for {field}")]
    KeepAlive {
        /// `every` or `timeout`.
        field: &'static str,
    },
}

/// The settings of [`Windows`], checked together by [`build`](Self::build).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a builder does nothing until `build`"]
pub struct WindowsBuilder {
    stream: u32,
    connection: Option<u32>,
    max_concurrent_streams: Option<u32>,
    keep_alive: Option<KeepAlive>,
}

impl Windows {
    /// Returns a builder.
    pub fn builder() -> WindowsBuilder {
        WindowsBuilder {
            stream: DEFAULT_STREAM,
            connection: None,
            max_concurrent_streams: None,
            keep_alive: Some(KEEP_ALIVE),
        }
    }
}

impl Default for Windows {
    /// The defaults of the [builder](Self::builder).
    fn default() -> Self {
        Self {
            stream: DEFAULT_STREAM,
            connection: DEFAULT_STREAM * MAX_STREAMS,
            max_concurrent_streams: MAX_STREAMS,
            keep_alive: Some(KEEP_ALIVE),
        }
    }
}

impl WindowsBuilder {
    /// Sets the window of a stream in bytes: 64 to 256 KiB, 128 KiB by default.
    pub fn stream(mut self, bytes: u32) -> Self {
        self.stream = bytes;
        self
    }

    /// Sets the window of a connection in bytes: at least that of 16 streams.
    ///
    /// By default that of [`max_concurrent_streams`](Self::max_concurrent_streams), and of at least
    /// 16.
    pub fn connection(mut self, bytes: u32) -> Self {
        self.connection = Some(bytes);
        self
    }

    /// Sets how many streams a client may have open on one connection of the server.
    ///
    /// At most the connection's window divided by that of a stream. By default 100, or that
    /// quotient if it is less.
    pub fn max_concurrent_streams(mut self, streams: u32) -> Self {
        self.max_concurrent_streams = Some(streams);
        self
    }

    /// Sets after which silence a ping is sent, and how long its answer may take. 20 s and 10 s by
    /// default.
    ///
    /// Servers of other libraries may close connections whose clients ping more often than they
    /// allow: once in five minutes without data, by the default of gRPC's own.
    pub fn keep_alive(mut self, every: Duration, timeout: Duration) -> Self {
        self.keep_alive = Some(KeepAlive { every, timeout });
        self
    }

    /// Leaves the keep-alive of the server or endpoint as it is.
    pub fn without_keep_alive(mut self) -> Self {
        self.keep_alive = None;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`InvalidWindows`] names the setting and its bounds.
    pub fn build(self) -> Result<Windows, InvalidWindows> {
        let (stream, (least, most)) = (self.stream, STREAM);
        if stream < least || stream > most {
            return Err(InvalidWindows::Stream { bytes: stream });
        }
        let connection = match (self.connection, self.max_concurrent_streams) {
            (Some(bytes), _) => bytes,
            (None, None) => stream * MAX_STREAMS,
            (None, Some(streams)) => {
                let max = MAX_WINDOW / stream;
                if streams > max {
                    return Err(InvalidWindows::MaxConcurrentStreams { streams, max });
                }
                stream * streams.max(MIN_RATIO)
            }
        };
        let min = stream * MIN_RATIO;
        if connection < min || connection > MAX_WINDOW {
            let bytes = connection;
            return Err(InvalidWindows::Connection { bytes, min });
        }
        let max = connection / stream;
        let streams = self.max_concurrent_streams.unwrap_or(max.min(MAX_STREAMS));
        if streams == 0 || streams > max {
            return Err(InvalidWindows::MaxConcurrentStreams { streams, max });
        }
        if let Some(KeepAlive { every, timeout }) = self.keep_alive {
            for (field, time) in [("every", every), ("timeout", timeout)] {
                if time.is_zero() {
                    return Err(InvalidWindows::KeepAlive { field });
                }
            }
        }
        Ok(Windows {
            stream,
            connection,
            max_concurrent_streams: streams,
            keep_alive: self.keep_alive,
        })
    }
}
