//! The interface for telemetry. Core depends on no metrics library.

use std::{sync::Arc, time::Duration};

use http::{Extensions, HeaderMap, Method, Uri};

use crate::{Outcome, Rejection, recorder::Recorder};

/// Observes the events of a gate. All methods do nothing by default.
///
/// Each method receives the [name](crate::GateBuilder::name) of the gate first, so that one
/// observer can serve several gates. A gate can have several observers.
///
/// The methods run on the request's path: increment an atomic and return. A panic is caught; it
/// loses that observer's event, but neither the request nor another observer's event.
#[doc(alias("metrics", "tracing"))]
pub trait Observe: Send + Sync {
    /// A request was admitted, after `waited` in a queue (zero when it was not queued).
    fn admitted(&self, gate: &str, waited: Duration) {
        _ = (gate, waited);
    }

    /// Returns whether the observer uses [`finished`](Self::finished), and
    /// [`admitted`](Self::admitted) of requests that were not queued.
    ///
    /// Read once, when the observer is added to a gate. With `false`, those two events may be left
    /// out, so a request that was not queued costs nothing.
    fn observes_each_request(&self) -> bool {
        true
    }

    /// The counters that the gate may write to itself, without a call of
    /// [`admitted`](Self::admitted) or [`finished`](Self::finished), for usual requests. Read once,
    /// when the observer is added to a gate.
    #[doc(hidden)]
    fn recorder(&self) -> Option<Arc<Recorder>> {
        None
    }

    /// A request was queued. The function that is returned is called once, when the wait ends, before
    /// the event of that end. It can own a span, for example.
    ///
    /// Not called for requests that are admitted or rejected at once.
    fn queued(&self, gate: &str) -> Option<OnWaitEnd> {
        _ = gate;
        None
    }

    /// A request was rejected.
    fn rejected(&self, gate: &str, rejected: &Rejected<'_>) {
        _ = (gate, rejected);
    }

    /// A request left the queue before it could run.
    fn abandoned(&self, gate: &str, waited: Duration) {
        _ = (gate, waited);
    }

    /// An admitted request ended.
    ///
    /// The request is gone by then, and its span may be. To keep a value of the request until here,
    /// such as its trace id, add a [policy](crate::Policy) that admits every request and whose
    /// permit is the value: its `finish` receives the permit and the outcome. Gates without it
    /// carry nothing.
    fn finished(&self, gate: &str, outcome: &Outcome) {
        _ = (gate, outcome);
    }

    /// A request had no key for a policy of this gate that limits by key.
    ///
    /// Reported in addition to the decision about the request, which the policy's
    /// [`Missing`](crate::Missing) makes, and once even when several policies found no key.
    fn missing_key(&self, gate: &str) {
        _ = gate;
    }
}

/// Receives the end of one request's wait in the queue of a gate, and how long it was.
pub type OnWaitEnd = Box<dyn FnOnce(WaitEnd, Duration) + Send>;

/// How the wait of a request in the queue of a gate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WaitEnd {
    /// The request was admitted.
    Admitted,
    /// The policy rejected it.
    Rejected,
    /// Its caller left, or the inner service failed before it could run.
    Abandoned,
}

/// A rejection and the request that was rejected.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Rejected<'a> {
    /// The policy that rejected the request, the reason, and when to retry.
    pub rejection: &'a Rejection,
    /// The head of the request; `None` when the gate's protocol is not HTTP.
    pub request: Option<RequestHead<'a>>,
}

impl<'a> Rejected<'a> {
    /// A rejection of this request.
    pub const fn new(rejection: &'a Rejection, request: Option<RequestHead<'a>>) -> Self {
        Self { rejection, request }
    }
}

/// The head of an HTTP request, without its body.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// The URI.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The extensions, with what outer layers put there, such as a user or a matched path.
    pub extensions: &'a Extensions,
}

impl<'a, B> From<&'a http::Request<B>> for RequestHead<'a> {
    fn from(req: &'a http::Request<B>) -> Self {
        Self {
            method: req.method(),
            uri: req.uri(),
            headers: req.headers(),
            extensions: req.extensions(),
        }
    }
}

impl<O: Observe + ?Sized> Observe for Arc<O> {
    fn admitted(&self, gate: &str, waited: Duration) {
        (**self).admitted(gate, waited);
    }
    fn observes_each_request(&self) -> bool {
        (**self).observes_each_request()
    }
    fn recorder(&self) -> Option<Arc<Recorder>> {
        (**self).recorder()
    }
    fn queued(&self, gate: &str) -> Option<OnWaitEnd> {
        (**self).queued(gate)
    }
    fn rejected(&self, gate: &str, rejected: &Rejected<'_>) {
        (**self).rejected(gate, rejected);
    }
    fn abandoned(&self, gate: &str, waited: Duration) {
        (**self).abandoned(gate, waited);
    }
    fn finished(&self, gate: &str, outcome: &Outcome) {
        (**self).finished(gate, outcome);
    }
    fn missing_key(&self, gate: &str) {
        (**self).missing_key(gate);
    }
}
