//! The figures of a fallback, for metrics and dashboards.

use std::fmt;

use plimsoll_core::figures::{self, Figure, Figures};

use crate::FallbackHandle;

impl Figures for FallbackHandle {
    fn policy(&self) -> &'static str {
        "fallback"
    }

    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let counts = [self.rejected(), self.failed(), self.errors()];
        each(&figures::DEGRADED, counts.iter().sum::<u64>() as f64);
        for (figure, count) in DEGRADED_AFTER.iter().zip(counts) {
            each(figure, count as f64);
        }
    }

    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn fmt::Display)) {
        each("enabled", &self.is_enabled());
        each("on rejections", &self.on_rejection());
        each("on failures", &self.on_failure());
        each("on overload", &self.on_overload());
        each("on errors", &self.on_error());
        each("on gRPC", &self.on_grpc());
        each("marks", &self.mark());
    }
}

static DEGRADED_AFTER: [Figure; 3] = [after("rejection"), after("failure"), after("error")];

const fn after(cause: &'static str) -> Figure {
    Figure::counter(
        "degraded_after",
        "Responses that were substituted, by cause",
    )
    .with_label("cause", cause)
}
