//! Whether a connection is up.

use std::sync::atomic::{
    AtomicU8,
    Ordering::{Acquire, Release},
};

use tokio::sync::Notify;

use crate::Disconnected;

/// A state that is read on each decision and can be awaited.
#[derive(Debug)]
pub(crate) struct Up {
    /// 0 while the connection is up; otherwise the number of the reason.
    down: AtomicU8,
    changed: Notify,
}

impl Up {
    pub(crate) fn new() -> Self {
        Self {
            down: AtomicU8::new(Disconnected::Unreachable as u8),
            changed: Notify::new(),
        }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.down.load(Acquire) == 0
    }

    /// The reason why the connection is down; `None` while it is up.
    pub(crate) fn why_not(&self) -> Option<Disconnected> {
        Disconnected::from_u8(self.down.load(Acquire))
    }

    pub(crate) fn set(&self, down: Option<Disconnected>) {
        self.down.store(down.map_or(0, |why| why as u8), Release);
        self.changed.notify_waiters();
    }

    pub(crate) async fn wait(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_set() {
                return;
            }
            changed.await;
        }
    }
}
