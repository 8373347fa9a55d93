//! The Tower service that asks a policy and then calls the inner service.

mod answer;
mod future;
mod granted;
mod held;
mod layer;
#[cfg(feature = "load")]
mod load;
mod service;
mod waiting;

pub use self::{
    future::GateFuture,
    held::{Held, Hold},
    layer::{GateBuilder, GateLayer},
    service::Gate,
};

use std::time::Duration;

use crate::{
    End, Observe, OnWaitEnd, Outcome, Rejected, WaitEnd, key::noted, panics, recorder::Owned,
};

/// State shared by a layer, its services and every permit in flight.
#[derive(Debug)]
pub(crate) struct Shared<P, T> {
    pub(crate) policy: P,
    pub(crate) protocol: T,
    pub(crate) observer: Observer,
}

/// The observers of a gate, and the gate's name in their events.
pub(crate) struct Observer {
    name: Box<str>,
    observers: Option<Box<dyn Observe>>,
    /// Whether an observer uses the events of requests that are admitted at once.
    each: bool,
    /// The counters, if nothing more uses the usual events of such requests; otherwise empty.
    counters: Owned,
}

impl Observer {
    fn new() -> Self {
        Self {
            name: "gate".into(),
            observers: None,
            each: false,
            counters: Owned::default(),
        }
    }

    /// Adds an observer to those already there.
    fn add(&mut self, observer: Box<dyn Observe>) {
        if observer.observes_each_request() {
            // A second observer of each request receives the events in full, as the first then does.
            let recorder = observer.recorder().filter(|_| !self.each);
            self.counters = recorder.map_or_else(Owned::default, |one| one.owned().clone());
            self.each = true;
        }
        self.observers = Some(match self.observers.take() {
            None => observer,
            Some(first) => Box::new(Both(first, observer)),
        });
    }

    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        self.observers.is_some()
    }

    /// Whether an observer uses the events of requests that are admitted at once.
    #[inline]
    pub(crate) fn observes_each(&self) -> bool {
        self.each
    }

    /// Notifies the observers. Law 10: a panic of an observer is caught and loses only this event.
    #[inline]
    pub(crate) fn notify(&self, event: impl FnOnce(&str, &dyn Observe)) {
        if let Some(observer) = &self.observers {
            panics::contain(|| event(&self.name, &**observer));
        }
    }

    /// Reports that a request was queued. Returns what to call when its wait ends.
    #[cold]
    #[inline(never)]
    pub(crate) fn queued(&self) -> Option<OnWaitEnd> {
        let mut on_end = None;
        self.notify(|gate, observer| on_end = observer.queued(gate));
        on_end
    }

    /// Reports an admission without a wait, and before it a request without a key.
    ///
    /// Performance: the rest is out of line, so that counting is all that the usual request does
    /// (`instructions`, `adaptive-metrics@accept`).
    #[inline]
    pub(crate) fn admitted_at_once(&self, before: u32) {
        if noted() != before || !self.counters.admit_quickly() {
            self.admitted(before);
        }
    }

    #[cold]
    #[inline(never)]
    fn admitted(&self, before: u32) {
        self.report_missing_key(before);
        if self.each {
            self.notify(|gate, observer| observer.admitted(gate, Duration::ZERO));
        }
    }

    /// Counts a usual end, whose head came after `latency`. `false` if [`finished`](Self::finished)
    /// has to report it.
    ///
    /// Performance: out of line and without a call of its own, so that it saves no register, and
    /// gates without metrics keep none for it (`instructions`, `concurrency-metrics@accept`,
    /// `concurrency@accept`).
    #[inline(never)]
    pub(crate) fn counts(&self, end: End, latency: u64) -> bool {
        self.counters.end_quickly(end, latency)
    }

    /// Reports an end in the full form.
    ///
    /// Performance: out of line, so that only this form keeps the outcome in memory
    /// (`instructions`, `gate-metrics@accept`).
    #[cold]
    #[inline(never)]
    pub(crate) fn finished(&self, outcome: &Outcome) {
        self.notify(|gate, observer| observer.finished(gate, outcome));
    }

    /// Reports a request without a key, if a policy on this thread noted one since `before`.
    #[inline]
    pub(crate) fn report_missing_key(&self, before: u32) {
        if noted() != before {
            self.missing_key();
        }
    }

    #[cold]
    #[inline(never)]
    fn missing_key(&self) {
        self.notify(|gate, observer| observer.missing_key(gate));
    }
}

/// Calls what [`Observer::queued`] has returned.
#[cold]
#[inline(never)]
fn end_wait(on_end: Option<OnWaitEnd>, end: WaitEnd, waited: Duration) {
    if let Some(on_end) = on_end {
        panics::contain(|| on_end(end, waited));
    }
}

/// Two observers as one. A panic of the first does not hide the event from the second.
struct Both(Box<dyn Observe>, Box<dyn Observe>);

impl Observe for Both {
    fn admitted(&self, gate: &str, waited: Duration) {
        panics::contain(|| self.0.admitted(gate, waited));
        self.1.admitted(gate, waited);
    }
    fn queued(&self, gate: &str) -> Option<OnWaitEnd> {
        let mut first = None;
        panics::contain(|| first = self.0.queued(gate));
        match (first, self.1.queued(gate)) {
            (Some(first), Some(second)) => Some(Box::new(|end, waited| {
                panics::contain(|| first(end, waited));
                second(end, waited);
            })),
            (first, second) => first.or(second),
        }
    }
    fn rejected(&self, gate: &str, rejected: &Rejected<'_>) {
        panics::contain(|| self.0.rejected(gate, rejected));
        self.1.rejected(gate, rejected);
    }
    fn abandoned(&self, gate: &str, waited: Duration) {
        panics::contain(|| self.0.abandoned(gate, waited));
        self.1.abandoned(gate, waited);
    }
    fn finished(&self, gate: &str, outcome: &Outcome) {
        panics::contain(|| self.0.finished(gate, outcome));
        self.1.finished(gate, outcome);
    }
    fn missing_key(&self, gate: &str) {
        panics::contain(|| self.0.missing_key(gate));
        self.1.missing_key(gate);
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer")
            .field("name", &self.name)
            .field("observed", &self.is_some())
            .finish_non_exhaustive()
    }
}
