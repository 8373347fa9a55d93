//! The builder of a server.

use std::{sync::Arc, time::Duration};

use super::{handle::Counters, serve::StreamServer};
use crate::grpc::windows::Windows;

/// The bounds of `write_deadline`: the resolution of tokio's timer, and a day, more than any client
/// is worth waiting for.
const MIN_DEADLINE: Duration = Duration::from_millis(1);
const MAX_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);

/// 30 s: a client that opens its window again at the half, as h2 does, and has a window of 128 KiB,
/// must read 2.2 KB/s. `the_default_deadline_is_30_seconds`.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// A setting of a [`StreamServer`] is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStreamServer {
    /// Each stream whose window is closed would end at once, or practically never.
    #[error("write_deadline must be in 1 ms..=24 h, got {0:?}")]
    WriteDeadline(Duration),
}

/// The settings of a [`StreamServer`], checked together by [`build`](Self::build).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a builder does nothing until `build`"]
pub struct StreamServerBuilder {
    windows: Windows,
    write_deadline: Duration,
}

impl StreamServer {
    /// Returns a builder.
    pub fn builder() -> StreamServerBuilder {
        StreamServerBuilder {
            windows: Windows::default(),
            write_deadline: WRITE_DEADLINE,
        }
    }
}

impl Default for StreamServer {
    /// The defaults of the [builder](Self::builder).
    fn default() -> Self {
        Self::builder().trusted()
    }
}

impl StreamServerBuilder {
    /// Sets the windows for requests, the number of streams, and the pings.
    pub fn windows(mut self, windows: Windows) -> Self {
        self.windows = windows;
        self
    }

    /// Sets for how long a stream may wait for its client's window until it is reset. 30 s by
    /// default, 1 ms to 24 h.
    ///
    /// It starts again when the client has opened the window for the next 16 KiB. Most clients open
    /// a window in steps of a quarter or a half of it, so a client must read half its window in this
    /// time.
    pub fn write_deadline(mut self, deadline: Duration) -> Self {
        self.write_deadline = deadline;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`InvalidStreamServer`] names the setting and its bounds.
    pub fn build(self) -> Result<StreamServer, InvalidStreamServer> {
        let deadline = self.write_deadline;
        if !(MIN_DEADLINE..=MAX_DEADLINE).contains(&deadline) {
            return Err(InvalidStreamServer::WriteDeadline(deadline));
        }
        Ok(self.trusted())
    }

    /// Builds a server whose settings are known to be in bounds.
    fn trusted(self) -> StreamServer {
        let counters = Arc::<Counters>::default();
        StreamServer::with(self.windows, self.write_deadline, counters)
    }
}
