//! The way from a substitute to the gate's response.

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

/// What a substitute says unless it has a `cache-control` of its own: it stands for an answer that a
/// cache must not keep, and may itself be a `200 OK`.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What the protocol answers with: at once, or when a handler of type `F` is done.
pub(crate) type AnswerOf<F, B, E, H> =
    Answer<Result<Response<GateBody<B, H>>, E>, Later<F, B, E, H>>;

/// What is left to do to a substitute.
#[derive(Debug)]
pub(crate) struct Finish {
    /// `None` when substitutes are not marked.
    mark: Option<(Degraded, HeaderValue)>,
    /// What the policies announce to accepted callers, if they do.
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

    /// Lets the policies that admitted the request write to the head of its answer.
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
        // Repeated names come as one name and then none.
        let mut last = None;
        for (name, value) in self.headers.into_iter().flatten() {
            last = name.or(last);
            if let Some(name) = &last {
                // Fails only past 32,768 headers, and then the response is lost for other reasons.
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

/// A handler at work. It holds no permit: dropping it cancels the handler and nothing else.
///
/// Boxed, so that a request that needs no handler carries no room for one.
pub struct Later<F, B, E, H> {
    work: Pin<Box<Work<F>>>,
    response: PhantomData<Parts<B, E, H>>,
}

/// What the answer is made of; none of it is held.
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
