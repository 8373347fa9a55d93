//! The figures of load shedding, for metrics and dashboards.

use std::fmt;

use plimsoll_core::{
    LoadSignal,
    figures::{self, Figure, Figures},
};

use crate::{LoadShedHandle, load_shed::NAME};

/// Load and threshold are read from the signal, once for both. The signal stays in use while the
/// handle is watched.
impl<L: LoadSignal + Send + Sync> Figures for LoadShedHandle<L> {
    fn policy(&self) -> &'static str {
        NAME
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let load = self.load();
        each(&figures::LOAD, load);
        each(&figures::THRESHOLD, f64::from(self.threshold_at(load)));
        self.ledger().read(each);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each(
            "sheds between",
            &format_args!("{} and {}", self.start(), self.full()),
        );
    }
}
