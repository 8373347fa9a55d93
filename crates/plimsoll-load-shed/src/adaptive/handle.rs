//! Settings and figures at run time.

use std::{sync::Arc, time::Duration};

use plimsoll_core::LoadSignal;

use super::shared::Shared;
use crate::{InvalidLoadShed, ledger::ledger_methods};

/// Reads and changes an [`AdaptiveShed`](crate::AdaptiveShed) policy while it works. Clones share it.
#[derive(Debug)]
pub struct AdaptiveShedHandle<L>(Arc<Shared<L>>);

impl<L> AdaptiveShedHandle<L> {
    pub(crate) fn new(shared: Arc<Shared<L>>) -> Self {
        Self(shared)
    }

    /// The [level](plimsoll_core::Priority::level) below which all is shed, as of the last window. 0 is nothing.
    pub fn threshold(&self) -> u16 {
        self.0.cut().level()
    }

    /// Requests a second that may pass; `None` while nothing is shed. For gauges: it waits for a window that is just being
    /// closed.
    pub fn budget(&self) -> Option<f64> {
        self.0.budget()
    }

    /// The shortest window.
    pub fn window(&self) -> Duration {
        self.0.window()
    }

    /// Changes the shortest window, from the next one on.
    ///
    /// # Errors
    ///
    /// As [`AdaptiveShed::window`](crate::AdaptiveShed::window). Nothing is changed then.
    pub fn set_window(&self, window: Duration) -> Result<(), InvalidLoadShed> {
        self.0.set_window(window)
    }

    ledger_methods!();
}

impl<L: LoadSignal> AdaptiveShedHandle<L> {
    /// The signal, read now.
    pub fn load(&self) -> f64 {
        self.0.signal.load()
    }
}

impl<L> Clone for AdaptiveShedHandle<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
