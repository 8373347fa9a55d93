//! Run-time settings and figures of a `LoadShed`.

use std::sync::Arc;

use plimsoll_core::{
    LoadSignal,
    support::{Ledger, ledger_methods},
};

use crate::{InvalidLoadShed, settings::Shared};

/// Reads and changes a [`LoadShed`](crate::LoadShed) policy at run time. Clones share it.
#[derive(Debug)]
pub struct LoadShedHandle<L>(Arc<Shared<L>>);

impl<L> LoadShedHandle<L> {
    pub(crate) fn new(shared: Arc<Shared<L>>) -> Self {
        Self(shared)
    }

    /// The load up to which nothing is shed.
    pub fn start(&self) -> f64 {
        self.0.ramp().start()
    }

    /// The load from which all but the top level is shed.
    pub fn full(&self) -> f64 {
        self.0.ramp().full()
    }

    /// Changes both loads atomically: no request sees one without the other.
    ///
    /// # Errors
    ///
    /// As [`LoadShed::between`](crate::LoadShed::between). On error nothing changes.
    pub fn set_between(&self, start: f64, full: f64) -> Result<(), InvalidLoadShed> {
        self.0.set_ramp(start, full)
    }

    ledger_methods!(InvalidLoadShed);
}

impl<L: LoadSignal> LoadShedHandle<L> {
    /// The load, read now.
    pub fn load(&self) -> f64 {
        self.0.signal.load()
    }

    /// The threshold at the current load: [levels](plimsoll_core::Priority::level) below it are
    /// shed. 0 sheds nothing, 511 all but the top level.
    pub fn threshold(&self) -> u16 {
        self.threshold_at(self.load())
    }

    pub(crate) fn threshold_at(&self, load: f64) -> u16 {
        self.0.ramp().threshold(load)
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.0.ledger
    }
}

impl<L> Clone for LoadShedHandle<L> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
