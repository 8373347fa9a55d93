//! From a substitute to the gate's response.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderValue, Response, header::CACHE_CONTROL};
use http_body::Body;
use pin_project_lite::pin_project;
use plimsoll_core::{Answer, Carried, GateBody, Hold, SpeaksHttp};

use crate::{
    Cause, DEGRADED, Degraded,
    substitute::Made,
    switches::{Switch, Switches},
};

/// The `cache-control` of a substitute without its own: caches must not keep it, although it may be
/// a `200 OK`.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The protocol's answer: at once, or when a handler of type `F` has finished.
pub(crate) type AnswerOf<F, B, E, H> =
    Answer<Result<Response<GateBody<B, H>>, E>, Later<F, B, E, H>>;

/// The headers that are added to a substitute.
#[derive(Debug)]
pub(crate) struct Finish {
    /// `None` when substitutes are not marked.
    mark: Option<(Degraded, HeaderValue)>,
    /// Announcements of the policies that admitted the request, if any.
    headers: Option<HeaderMap>,
}

impl Finish {
    /// Counts the substitute that is about to be made.
    pub(crate) fn new<E>(cause: &Cause<E>, switches: &Switches) -> Self {
        let degraded = cause.degraded();
        switches.count(&degraded);
        let mark = switches
            .is(Switch::Marked)
            .then(|| (degraded, switches.values.of(&degraded)));
        Self {
            mark,
            headers: None,
        }
    }

    /// Adds what the policies that admitted the request announce in the head.
    pub(crate) fn announced_by(mut self, held: &impl Hold<Protocol: SpeaksHttp>) -> Self {
        let mut headers = HeaderMap::new();
        held.protocol().http().announce(held, &mut headers);
        self.headers = Some(headers).filter(|headers| !headers.is_empty());
        self
    }

    pub(crate) fn answer<F, B, E, H>(self, made: Made<F>) -> AnswerOf<F, B, E, H>
    where
        B: Body,
        H: Carried,
    {
        match made {
            Made::Now(mut response) => {
                self.apply(&mut response);
                Answer::Now(Ok(response.map(GateBody::own)))
            }
            Made::Later(future) => Answer::Later(Later {
                work: Box::pin(Work {
                    future,
                    finish: Some(self),
                }),
                response: PhantomData,
            }),
        }
    }

    fn apply<B>(self, response: &mut Response<B>) {
        // `HeaderMap` yields the name only with the first of several values.
        let mut last = None;
        for (name, value) in self.headers.into_iter().flatten() {
            last = name.or(last);
            if let Some(name) = &last {
                // Fails beyond 32,768 headers only, and such a response cannot be sent anyway.
                _ = response.headers_mut().try_append(name, value);
            }
        }
        if !response.headers().contains_key(CACHE_CONTROL) {
            _ = response.headers_mut().try_insert(CACHE_CONTROL, NO_STORE);
        }
        if let Some((degraded, value)) = self.mark {
            _ = response.headers_mut().try_insert(DEGRADED, value);
            response.extensions_mut().insert(degraded);
        }
    }
}

/// The future of a running handler. It holds no permit: dropping it cancels the handler and nothing
/// else.
///
/// Performance: boxed, so that a request without a substitute reserves no space for one.
pub struct Later<F, B, E, H> {
    work: Pin<Box<Work<F>>>,
    response: PhantomData<Parts<B, E, H>>,
}

/// Types of the answer; no value of them is stored.
type Parts<B, E, H> = fn() -> (B, E, H);

pin_project! {
    struct Work<F> {
        #[pin]
        future: F,
        finish: Option<Finish>,
    }
}

impl<F, B, E, H> Future for Later<F, B, E, H>
where
    F: Future<Output = Response<B>>,
    B: Body,
    H: Carried,
{
    type Output = Result<Response<GateBody<B, H>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let work = self.work.as_mut().project();
        let mut response = ready!(work.future.poll(cx));
        if let Some(finish) = work.finish.take() {
            finish.apply(&mut response);
        }
        Poll::Ready(Ok(response.map(GateBody::settled)))
    }
}

impl<F, B, E, H> fmt::Debug for Later<F, B, E, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}
