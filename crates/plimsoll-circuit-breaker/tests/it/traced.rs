//! Events of `tracing`.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use plimsoll_core::Class;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::{Bench, secs};

/// Writes each event as a line.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write as _;
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        of.target() == "plimsoll::circuit_breaker"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn each_transition_is_an_event() {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        let mut bench = Bench::open();
        bench.pass(secs(1));
        bench.call(Class::Success);
    });
    let expected = [
        "WARN message=circuit breaker opened from=\"closed\" to=\"open\" \
         reason=\"failure-rate\" generation=1",
        "INFO message=circuit breaker changed from=\"open\" to=\"half-open\" \
         reason=\"opening-passed\" generation=2",
    ];
    assert_eq!(*lines.0.lock().unwrap(), expected);
}
