//! The figures of a bounded listener, for metrics and dashboards.

use std::fmt;

use plimsoll_core::figures::{self, Figure, Figures};

use super::handle::ListenerHandle;

impl Figures for ListenerHandle {
    fn policy(&self) -> &'static str {
        "listener"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::LIMIT, self.limit() as f64);
        each(&figures::IN_USE, self.open() as f64);
        each(&ACCEPTED, self.accepted() as f64);
        each(&figures::REJECTED, self.rejected() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("limit", &self.limit());
        match self.per_address() {
            Some(connections) => each("per address", &connections),
            None => each("per address", &"not counted"),
        }
    }
}

static ACCEPTED: Figure = Figure::counter("accepted", "Connections that were accepted");
