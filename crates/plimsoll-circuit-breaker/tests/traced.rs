//! Events of `tracing`. A program of its own: other tests would register the events first, without a
//! subscriber.
#![cfg(feature = "tracing")]

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use plimsoll_circuit_breaker::CircuitBreaker;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

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
        let handle = CircuitBreaker::new().handle();
        handle.force_open();
        handle.automatic();
    });
    let expected = [
        "WARN message=circuit breaker opened from=\"closed\" to=\"forced-open\" \
         reason=\"set\" generation=1",
        "INFO message=circuit breaker changed from=\"forced-open\" to=\"closed\" \
         reason=\"set\" generation=2",
    ];
    assert_eq!(*lines.0.lock().unwrap(), expected);
}
