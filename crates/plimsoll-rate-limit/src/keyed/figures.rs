//! The figures of a rate limit per key, for metrics and dashboards.

use std::fmt;

use plimsoll_core::figures::{self, Figure, Figures};

use super::handle::KeyedRateLimitHandle;
use crate::settings::NAME;

/// The quotas and rejections of all keys, and the table. The table stays in memory while the handle
/// is watched.
impl<const N: usize> Figures for KeyedRateLimitHandle<N> {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        self.limit().read(each);
        each(&figures::KEYS, self.keys() as f64);
        each(&figures::KEY_CAPACITY, self.capacity() as f64);
        each(&figures::EVICTED, self.evicted() as f64);
        each(&INHERITED, self.inherited() as f64);
        each(&figures::OVERFLOWED, self.overflowed() as f64);
        each(&figures::MISSING_KEYS, self.missing() as f64);
        each(&MEMORY, self.bytes() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        self.limit().settings(each);
    }
}

static INHERITED: Figure = Figure::counter(
    "inherited",
    "Evicted cells whose new key inherited what had been taken",
);
static MEMORY: Figure = Figure::gauge("table", "Memory of the cells").in_unit("bytes");
