//! Whether there is a connection.

use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};

use tokio::sync::Notify;

/// A flag that is read per decision and can be waited for.
#[derive(Debug, Default)]
pub(crate) struct Up {
    up: AtomicBool,
    changed: Notify,
}

impl Up {
    pub(crate) fn is_set(&self) -> bool {
        self.up.load(Acquire)
    }

    pub(crate) fn set(&self, up: bool) {
        self.up.store(up, Release);
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
