//! The builder of a listener.

use std::{sync::Arc, time::Duration};

use super::{
    counters::Totals, error::InvalidBackpressureListener, options::Options,
    tcp::BackpressureListener,
};

/// The highest value of `unsent_low_water`, in bytes: more than any send buffer of a kernel.
const MAX_LOW_WATER: u32 = 1 << 30;
/// The bounds of `write_deadline`: the resolution of tokio's timer, and a day, more than any client
/// is worth waiting for.
const MIN_DEADLINE: Duration = Duration::from_millis(1);
const MAX_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);
/// The highest value of `keep_alive`: the bound of Linux.
const MAX_KEEP_ALIVE: Duration = Duration::from_secs(32_767);

/// The settings of a [`BackpressureListener`], checked together by [`build`](Self::build).
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct BackpressureListenerBuilder<L> {
    listener: L,
    options: Options,
    write_deadline: Option<Duration>,
}

impl<L> BackpressureListenerBuilder<L> {
    pub(super) fn new(listener: L) -> Self {
        Self {
            listener,
            options: Options {
                nodelay: true,
                unsent_low_water: Some(16 * 1024),
                user_timeout: Some(Duration::from_secs(30)),
                keep_alive: Some(Duration::from_secs(15)),
            },
            write_deadline: Some(Duration::from_secs(10)),
        }
    }

    /// Sets `TCP_NOTSENT_LOWAT`: writes block while this many bytes are unsent. 16 KiB by default.
    ///
    /// It bounds the bytes that were not sent yet, and not those on the way, so it costs no
    /// throughput on long paths. 1 byte to 2^30 bytes; `None` leaves the kernel's default. Does
    /// nothing on systems other than Linux and Android.
    pub fn unsent_low_water(mut self, bytes: Option<u32>) -> Self {
        self.options.unsent_low_water = bytes;
        self
    }

    /// Sets for how long a write may be blocked until it fails with `TimedOut`. 10 s by default.
    ///
    /// The connection is then reset, and what the kernel had not sent is discarded. 1 ms to 24 h;
    /// `None` never fails a write.
    pub fn write_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.write_deadline = deadline;
        self
    }

    /// Sets `TCP_USER_TIMEOUT`: after this time without acknowledgement of data the kernel closes
    /// the connection. 30 s by default.
    ///
    /// The kernel also closes a connection whose client acknowledges but reads nothing for this
    /// time, so keep it longer than the write deadline. 1 ms to 2^32-1 ms; `None` leaves the
    /// kernel's default, about 15 minutes. Linux, Android, Fuchsia and Cygwin only.
    pub fn user_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.options.user_timeout = timeout;
        self
    }

    /// Sets `SO_KEEPALIVE`: after this time without data the kernel asks whether the peer is there.
    /// 15 s by default.
    ///
    /// With [`user_timeout`](Self::user_timeout), a vanished peer is found at the latest after the
    /// longer of both. 1 s to 32,767 s; `None` leaves the kernel's default, off.
    pub fn keep_alive(mut self, idle: Option<Duration>) -> Self {
        self.options.keep_alive = idle;
        self
    }

    /// Sets `TCP_NODELAY`, on by default.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.options.nodelay = nodelay;
        self
    }

    /// Builds the listener.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<BackpressureListener<L>, InvalidBackpressureListener> {
        use InvalidBackpressureListener as Invalid;
        let options = self.options;
        match options.unsent_low_water {
            Some(bytes) if !(1..=MAX_LOW_WATER).contains(&bytes) => {
                return Err(Invalid::UnsentLowWater(bytes));
            }
            _ => {}
        }
        match self.write_deadline {
            Some(deadline) if !(MIN_DEADLINE..=MAX_DEADLINE).contains(&deadline) => {
                return Err(Invalid::WriteDeadline(deadline));
            }
            _ => {}
        }
        match options.user_timeout {
            Some(timeout) if !(1..=u128::from(u32::MAX)).contains(&timeout.as_millis()) => {
                return Err(Invalid::UserTimeout(timeout));
            }
            _ => {}
        }
        match options.keep_alive {
            Some(idle) if !(Duration::from_secs(1)..=MAX_KEEP_ALIVE).contains(&idle) => {
                return Err(Invalid::KeepAlive(idle));
            }
            _ => {}
        }
        Ok(self.trusted())
    }

    /// Builds a listener whose settings are known to be in bounds.
    fn trusted(self) -> BackpressureListener<L> {
        BackpressureListener::with(
            self.listener,
            Arc::new(Totals::new(self.options, self.write_deadline)),
        )
    }
}

impl<L> BackpressureListener<L> {
    /// A listener with the default settings.
    pub fn new(listener: L) -> Self {
        Self::builder(listener).trusted()
    }

    /// A builder with all settings.
    pub fn builder(listener: L) -> BackpressureListenerBuilder<L> {
        BackpressureListenerBuilder::new(listener)
    }
}
