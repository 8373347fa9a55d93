//! `Fallback`: the protocol and its settings.

use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;
use http::Response;
use plimsoll_core::{
    Http, Kind,
    protocol::{Classify, ServerClassifier, SpeaksHttp},
};

use crate::{
    Cause, FallbackHandle,
    substitute::{Fixed, Handler, HandlerWith},
    switches::{Switch, Switches},
};

/// An HTTP protocol like [`Http`] that substitutes rejections, failures and errors.
///
/// The [crate](crate) docs list what is substituted. `A` makes the substitutes, `C` classifies
/// answers.
///
/// Clones share the switches and counters.
#[doc(alias("degradation", "graceful degradation", "default response"))]
pub struct Fallback<A, C = ServerClassifier> {
    pub(crate) http: Http<C>,
    pub(crate) answer: Arc<A>,
    pub(crate) switches: Arc<Switches>,
}

impl Fallback<Fixed> {
    /// Answers with the same response every time, such as a house ad or an empty list.
    ///
    /// The body is shared by all uses; the head is copied for each.
    pub fn answer(response: Response<impl Into<Bytes>>) -> Self {
        Self::new(Fixed(response.map(Into::into)))
    }
}

impl<F> Fallback<Handler<F>> {
    /// Answers with the response of `handler`, which has the inner service's body type.
    ///
    /// The handler gets the [`Cause`], with the inner service's error in it (`Cause` alone when
    /// that is `Infallible`, as in axum). For a handler that needs the request too, use
    /// [`handler_with`](Self::handler_with).
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
    ///
    /// A handler may decline: with `None` instead of a response, the original goes out (see
    /// [`IntoSubstitute`](crate::IntoSubstitute) for services with errors).
    ///
    /// ```
    /// use http::Response;
    /// use http_body_util::Full;
    /// use plimsoll_core::Kind;
    /// use plimsoll_fallback::{Cause, Fallback};
    ///
    /// // A page while the circuit is open. All other rejections and failures go out unchanged.
    /// let fallback = Fallback::handler(|cause: Cause| async move {
    ///     match cause {
    ///         Cause::Rejected(rejection) if rejection.kind() == Kind::CircuitOpen => {
    ///             Some(Response::new(Full::<bytes::Bytes>::from("back in a moment")))
    ///         }
    ///         _ => None,
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
    /// Answers with the response of `handler`, which gets the cause and the result of `capture`.
    ///
    /// The inner service consumes the request, and a request cannot be cloned in general. So
    /// `capture` runs before, for *every* request, successful ones included: capture little, such
    /// as a clone of the [`http::Uri`].
    ///
    /// ```
    /// use http::{Request, Response, Uri};
    /// use plimsoll_fallback::{Cause, Fallback};
    ///
    /// let fallback = Fallback::handler_with(
    ///     |req: &Request<String>| req.uri().clone(),
    ///     |_: Cause, uri: Uri| async move { Response::new(format!("{} is unavailable", uri.path())) },
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
    /// Answers with the result of `answer`, a custom [`Substitute`](crate::Substitute).
    pub fn new(answer: A) -> Self {
        Self {
            http: Http::new(),
            answer: Arc::new(answer),
            switches: Arc::new(Switches::new()),
        }
    }
}

impl<A, C> Fallback<A, C> {
    /// Uses the settings of `http` for everything that is not substituted: classes, release, format
    /// of rejections.
    #[must_use]
    pub fn http<D: Classify>(self, http: Http<D>) -> Fallback<A, D> {
        Fallback {
            http,
            answer: self.answer,
            switches: self.switches,
        }
    }

    /// Whether to substitute rejections. On for `Full`, `CircuitOpen` and `Deadline`: conditions of
    /// the server. Off for `OverQuota`, since a client over its quota needs the 429 to slow down,
    /// and for `Skipped`.
    #[must_use]
    pub fn on_rejection(self, on: bool) -> Self {
        self.switch(Switch::Refusals, on)
    }

    /// Whether to substitute rejections of this kind.
    #[must_use]
    pub fn on_kind(self, kind: Kind, on: bool) -> Self {
        self.switch(Switch::Kind(kind), on)
    }

    /// Whether to substitute answers whose head has the class
    /// [`Failure`](plimsoll_core::Class::Failure). On.
    #[must_use]
    pub fn on_failure(self, on: bool) -> Self {
        self.switch(Switch::Failures, on)
    }

    /// Whether to substitute answers of the class [`Overloaded`](plimsoll_core::Class::Overloaded).
    /// Off: such an answer has a retry hint, and clients should back off.
    #[must_use]
    pub fn on_overload(self, on: bool) -> Self {
        self.switch(Switch::Overloads, on)
    }

    /// Whether to substitute the inner service's errors. On; the error goes to the handler, and a
    /// fixed answer drops it.
    #[must_use]
    pub fn on_error(self, on: bool) -> Self {
        self.switch(Switch::Errors, on)
    }

    /// Whether to substitute for requests with the content type `application/grpc*`. Off: they get
    /// the answer without a fallback, since a gRPC client cannot use an HTTP answer.
    #[must_use]
    pub fn on_grpc(self, on: bool) -> Self {
        self.switch(Switch::Grpc, on)
    }

    /// Whether substitutes carry the header [`DEGRADED`](crate::DEGRADED) and the extension
    /// [`Degraded`](crate::Degraded). On.
    #[must_use]
    pub fn mark(self, mark: bool) -> Self {
        self.switch(Switch::Marked, mark)
    }

    fn switch(self, switch: Switch, on: bool) -> Self {
        self.switches.set(switch, on);
        self
    }

    /// A handle that changes the switches at run time, and reads the counters.
    pub fn handle(&self) -> FallbackHandle {
        FallbackHandle::new(Arc::clone(&self.switches))
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
