//! The figures of a shadow, for metrics and dashboards.

use std::fmt;

use super::handle::ShadowHandle;
use crate::{
    Kind,
    figures::{self, Figure, Figures},
};

impl Figures for ShadowHandle {
    fn policy(&self) -> &'static str {
        "shadow"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        each(&figures::SHADOW_REJECTED, self.would_reject() as f64);
        for (figure, kind) in REJECTED_AS.iter().zip(Kind::ALL) {
            each(figure, self.would_reject_as(kind) as f64);
        }
        each(&ADMITTED, self.would_admit() as f64);
        each(&WAITED, self.would_wait() as f64);
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("enforced", &self.is_enforced());
    }
}

static ADMITTED: Figure = Figure::counter("shadow_admitted", "Requests that the shadow admits");
static WAITED: Figure = Figure::counter("shadow_queued", "Requests that the shadow would queue");
/// In the order of [`Kind::ALL`].
static REJECTED_AS: [Figure; Kind::ALL.len()] = {
    let help = "Requests that the shadow would reject, by kind";
    let mut figures = [Figure::counter("shadow_rejected_as", help); Kind::ALL.len()];
    let mut place = 0;
    while place < figures.len() {
        figures[place] = figures[place].with_label("kind", Kind::ALL[place].as_str());
        place += 1;
    }
    figures
};
