//! The figures of a per-key table, for metrics and dashboards.

use std::{fmt, sync::Arc};

use super::{evictable::Evictable, handle::KeyedHandle};
use crate::figures::{self, Change, Figure, Figures};

/// The figures that all cells share, and those of the table. Without the former the name is `keyed`.
///
/// The table stays in memory while the handle is watched.
impl<P: Evictable + 'static> Figures for KeyedHandle<P> {
    fn policy(&self) -> &str {
        self.shared.as_ref().map_or("keyed", |of| of.policy())
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        if let Some(shared) = &self.shared {
            shared.read(each);
        }
        each(&figures::KEYS, self.keys() as f64);
        each(&figures::KEY_CAPACITY, self.capacity() as f64);
        each(&figures::EVICTED, self.evicted() as f64);
        each(&figures::OVERFLOWED, self.overflowed() as f64);
        each(&figures::MISSING_KEYS, self.missing() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        if let Some(shared) = &self.shared {
            shared.settings(each);
        }
    }

    fn on_change(&self, callback: Arc<dyn Fn(&Change) + Send + Sync>) {
        if let Some(shared) = &self.shared {
            shared.on_change(callback);
        }
    }
}
