//! Reads and changes the policy at run time.

use std::{sync::Arc, time::Duration};

use plimsoll_core::{
    LoadSignal,
    support::{Ledger, ledger_methods},
};

use super::shared::Shared;
use crate::InvalidAdaptiveShed;

/// Reads and changes an [`AdaptiveShed`](crate::AdaptiveShed) at run time. Clones share the policy.
#[derive(Debug)]
pub struct AdaptiveShedHandle<L>(Arc<Shared<L>>);

impl<L> AdaptiveShedHandle<L> {
    pub(crate) fn new(shared: Arc<Shared<L>>) -> Self {
        Self(shared)
    }

    /// The [level](plimsoll_core::Priority::level) below which all requests are shed, as of the last
    /// window. At 0 nothing is shed.
    pub fn threshold(&self) -> u16 {
        self.0.cut().level()
    }

    /// Requests per second that are admitted; `None` while nothing is shed.
    ///
    /// For gauges, not for each request: it waits for a lock while a window is closed.
    pub fn budget(&self) -> Option<f64> {
        self.0.budget()
    }

    /// The length of a window.
    pub fn window(&self) -> Duration {
        self.0.window()
    }

    /// Changes the length of windows, from the next one on.
    ///
    /// # Errors
    ///
    /// As [`AdaptiveShed::window`](crate::AdaptiveShed::window). On error nothing changes.
    pub fn set_window(&self, window: Duration) -> Result<(), InvalidAdaptiveShed> {
        self.0.set_window(window)
    }

    ledger_methods!(InvalidAdaptiveShed);
}

impl<L: LoadSignal> AdaptiveShedHandle<L> {
    /// Reads the signal now.
    pub fn load(&self) -> f64 {
        self.0.signal.load()
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }
}

impl<L> Clone for AdaptiveShedHandle<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
