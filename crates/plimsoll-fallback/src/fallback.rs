//! `Fallback`: the protocol and its settings.

use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;
use http::Response;
use plimsoll_core::{Classify, GateLayer, Http, Kind, ServerClassifier, SpeaksHttp};

use crate::{
    Cause, FallbackHandle, FallbackLayer,
    substitute::{Fixed, Handler, HandlerWith},
    switches::{Switch, Switches},
};

/// Speaks HTTP like [`Http`], and puts a substitute in the place of refusals, failures and errors.
///
/// See the [crate](crate) for what it does when. `A` is where the substitutes come from, `C` classifies answers.
///
/// Clones share the switches and counters.
pub struct Fallback<A, C = ServerClassifier> {
    pub(crate) http: Http<C>,
    pub(crate) answer: Arc<A>,
    pub(crate) switches: Arc<Switches>,
}

impl Fallback<Fixed> {
    /// The same answer every time: a house ad, an empty list, a page that says sorry.
    ///
    /// The body is shared by all uses; the head is copied for each.
    pub fn answer(response: Response<impl Into<Bytes>>) -> Self {
        Self::new(Fixed(response.map(Into::into)))
    }
}

impl<F> Fallback<Handler<F>> {
    /// What `handler` answers with: a `Response` with the inner service's body type.
    ///
    /// It is told the [`Cause`], with the inner service's error in it (`Cause` alone when that is `Infallible`, as in
    /// axum). To know something of the request too, use [`handler_with`](Self::handler_with).
    ///
    /// ```
    /// use http::Response;
    /// use http_body_util::Full;
    /// use plimsoll_fallback::{Cause, Fallback};
    ///
    /// let fallback = Fallback::handler(|cause: Cause| async move {
    ///     match cause {
    ///         Cause::Rejected(_) => Response::new(Full::<bytes::Bytes>::from("please wait")),
    ///         _ => Response::new(Full::from("something broke")),
    ///     }
    /// });
    /// # let _ = fallback;
    /// ```
    pub fn handler<E, Fut>(handler: F) -> Self
    where
        F: Fn(Cause<E>) -> Fut,
        Fut: Future,
    {
        Self::new(Handler(handler))
    }
}

impl<K, F> Fallback<HandlerWith<K, F>> {
    /// What `handler` answers with, told the cause and what `capture` took from the request.
    ///
    /// A request is gone once the inner service has it, and cannot be cloned in general. So `capture` looks at it
    /// before, at *every* request, good ones included: take little, such as a clone of the [`http::Uri`].
    ///
    /// ```
    /// use http::{Request, Response, Uri};
    /// use plimsoll_fallback::{Cause, Fallback};
    ///
    /// let fallback = Fallback::handler_with(
    ///     |req: &Request<String>| req.uri().clone(),
    ///     |_: Cause, uri: Uri| async move { Response::new(format!("{} is having a rest", uri.path())) },
    /// );
    /// # let _ = fallback;
    /// ```
    pub fn handler_with<R, T, E, Fut>(capture: K, handler: F) -> Self
    where
        K: Fn(&http::Request<R>) -> T,
        F: Fn(Cause<E>, T) -> Fut,
        Fut: Future,
    {
        Self::new(HandlerWith { capture, handler })
    }
}

impl<A> Fallback<A> {
    /// What `answer` makes, a [`Substitute`](crate::Substitute) of your own.
    pub fn new(answer: A) -> Self {
        Self {
            http: Http::new(),
            answer: Arc::new(answer),
            switches: Arc::new(Switches::new()),
        }
    }
}

impl<A, C> Fallback<A, C> {
    /// Goes by the rules of `http` for everything that is not substituted: classes, release, how refusals look.
    #[must_use]
    pub fn http<D: Classify>(self, http: Http<D>) -> Fallback<A, D> {
        Fallback {
            http,
            answer: self.answer,
            switches: self.switches,
        }
    }

    /// Whether to step in for refusals. On for `Full`, `CircuitOpen` and `Deadline`: the server's own condition. Off for
    /// `OverQuota`, since a caller over its own allowance should be told to slow down, and for `Skipped`.
    #[must_use]
    pub fn on_rejection(self, on: bool) -> Self {
        self.switch(Switch::Refusals, on)
    }

    /// Whether to step in for refusals of this kind.
    #[must_use]
    pub fn on_kind(self, kind: Kind, on: bool) -> Self {
        self.switch(Switch::Kind(kind), on)
    }

    /// Whether to step in for answers of the class [`Failure`](plimsoll_core::Class::Failure), as far as their head tells.
    /// On.
    #[must_use]
    pub fn on_failure(self, on: bool) -> Self {
        self.switch(Switch::Failures, on)
    }

    /// Whether to step in for answers of the class [`Overloaded`](plimsoll_core::Class::Overloaded). Off: the service has
    /// said when to come back, and clients that back off are what it needs.
    #[must_use]
    pub fn on_overload(self, on: bool) -> Self {
        self.switch(Switch::Overloads, on)
    }

    /// Whether to step in for the inner service's errors. On; the error goes to the handler, and a fixed answer drops it.
    #[must_use]
    pub fn on_error(self, on: bool) -> Self {
        self.switch(Switch::Errors, on)
    }

    /// Whether to step in for requests whose content type is `application/grpc*`. Off: they get what they would get
    /// without a fallback, because an HTTP answer is none to them.
    #[must_use]
    pub fn on_grpc(self, on: bool) -> Self {
        self.switch(Switch::Grpc, on)
    }

    /// Whether substitutes carry the header [`DEGRADED`](crate::DEGRADED) and the extension
    /// [`Degraded`](crate::Degraded). They do, unless this is switched off.
    #[must_use]
    pub fn mark(self, mark: bool) -> Self {
        self.switch(Switch::Marked, mark)
    }

    fn switch(self, switch: Switch, on: bool) -> Self {
        self.switches.set(switch, on);
        self
    }

    /// Switches it on and off while it runs, and reads the counters.
    pub fn handle(&self) -> FallbackHandle {
        FallbackHandle::new(Arc::clone(&self.switches))
    }

    /// A layer with this fallback and no policy of its own; it also sees the refusals of the gates inside of it.
    pub fn layer(self) -> FallbackLayer<A, C> {
        GateLayer::builder(()).protocol(self).build()
    }
}

impl<A, C> SpeaksHttp for Fallback<A, C>
where
    A: Send + Sync + 'static,
    C: Classify,
{
    type Classifier = C;

    #[inline]
    fn http(&self) -> &Http<C> {
        &self.http
    }
}

impl<A, C: Clone> Clone for Fallback<A, C> {
    fn clone(&self) -> Self {
        Self {
            http: self.http.clone(),
            answer: Arc::clone(&self.answer),
            switches: Arc::clone(&self.switches),
        }
    }
}

impl<A: fmt::Debug, C> fmt::Debug for Fallback<A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback")
            .field("answer", &self.answer)
            .field("switches", &self.switches)
            .finish_non_exhaustive()
    }
}
