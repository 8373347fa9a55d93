//! What all connections of a listener share: settings and totals.

use std::{
    sync::atomic::{
        AtomicU32, AtomicU64, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
    time::Duration,
};

use plimsoll_core::policy::Counter;

use super::options::Options;

/// Why a connection was closed because of its client's slowness or absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowDisconnect {
    /// A write was blocked for the write deadline: the client did not read.
    WriteDeadline,
    /// The kernel gave up: no acknowledgement for `TCP_USER_TIMEOUT`, or no answer to keep-alives.
    PeerTimeout,
}

impl SlowDisconnect {
    /// All reasons.
    pub const ALL: [Self; 2] = [Self::WriteDeadline, Self::PeerTimeout];

    /// Returns the name for labels of metrics, such as `write_deadline`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WriteDeadline => "write_deadline",
            Self::PeerTimeout => "peer_timeout",
        }
    }
}

#[derive(Debug)]
pub(super) struct Totals {
    pub(super) options: Options,
    pub(super) write_deadline: Option<Duration>,
    pub(super) accepted: Counter,
    pub(super) option_errors: Counter,
    pub(super) written: AtomicU64,
    pub(super) read: AtomicU64,
    open: AtomicUsize,
    blocked: AtomicUsize,
    slow: [Counter; SlowDisconnect::ALL.len()],
    /// The local port of the connections, 0 before the first.
    port: AtomicU32,
}

impl Totals {
    pub(super) fn new(options: Options, write_deadline: Option<Duration>) -> Self {
        Self {
            options,
            write_deadline,
            accepted: Counter::new(),
            option_errors: Counter::new(),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            blocked: AtomicUsize::new(0),
            slow: Default::default(),
            port: AtomicU32::new(0),
        }
    }

    pub(super) fn opened(&self, port: Option<u16>) {
        self.accepted.add();
        self.open.fetch_add(1, SeqCst);
        if let Some(port) = port {
            self.port.store(port.into(), Relaxed);
        }
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, SeqCst);
    }

    pub(super) fn open(&self) -> usize {
        self.open.load(SeqCst)
    }

    pub(super) fn block(&self) {
        self.blocked.fetch_add(1, SeqCst);
    }

    pub(super) fn unblock(&self) {
        self.blocked.fetch_sub(1, SeqCst);
    }

    pub(super) fn blocked(&self) -> usize {
        self.blocked.load(SeqCst)
    }

    pub(super) fn slow(&self, reason: SlowDisconnect) -> &Counter {
        match reason {
            SlowDisconnect::WriteDeadline => &self.slow[0],
            SlowDisconnect::PeerTimeout => &self.slow[1],
        }
    }

    pub(super) fn port(&self) -> Option<u16> {
        let port = u16::try_from(self.port.load(Relaxed)).unwrap_or_default();
        (port != 0).then_some(port)
    }
}
