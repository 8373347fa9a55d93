//! From a substitute to the gate's response.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CACHE_CONTROL};
use http_body::Body;
use pin_project_lite::pin_project;
use plimsoll_core::protocol::{Answer, Carried, GateBody, Hold, SpeaksHttp};

use crate::{
    Cause, DEGRADED, Degraded,
    substitute::{IntoSubstitute, Made},
    switches::{Switch, Switches},
};

/// The `cache-control` of a substitute without its own: caches must not keep it, although it may be
/// a `200 OK`.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The protocol's answer: at once, or when a handler of type `F` has finished.
pub(crate) type AnswerOf<F, B, E, H> =
    Answer<Result<Response<GateBody<B, H>>, E>, Later<F, B, E, H>>;

/// The answer that goes out when the handler declines. `None` when the handler never declines, or
/// when the cause is an error, which the handler hands back.
pub(crate) type Original<B, H> = Option<Response<GateBody<B, H>>>;

/// The headers that are added to a substitute.
#[derive(Debug)]
pub(crate) struct Finish {
    degraded: Degraded,
    /// `None` when substitutes are not marked.
    mark: Option<HeaderValue>,
    /// The counters, when the substitute is counted once the handler has answered.
    uncounted: Option<Arc<Switches>>,
    /// Announcements of the policies that admitted the request, if any.
    headers: Option<HeaderMap>,
}

impl Finish {
    /// Counts the substitute that is about to be made, unless the handler may decline.
    pub(crate) fn new<E>(cause: &Cause<E>, switches: &Arc<Switches>, may_decline: bool) -> Self {
        let degraded = cause.degraded();
        if !may_decline {
            switches.count(&degraded);
        }
        let is_marked = switches.is(Switch::Marked);
        Self {
            degraded,
            mark: is_marked.then(|| switches.values.of(&degraded)),
            uncounted: may_decline.then(|| Arc::clone(switches)),
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

    pub(crate) fn answer<F, B, E, H>(
        self,
        made: Made<F>,
        original: Original<B, H>,
    ) -> AnswerOf<F, B, E, H>
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
                    original,
                }),
                error: PhantomData,
            }),
        }
    }

    fn apply<B>(self, response: &mut Response<B>) {
        if let Some(switches) = self.uncounted {
            switches.count(&self.degraded);
        }
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
        if let Some(value) = self.mark {
            _ = response.headers_mut().try_insert(DEGRADED, value);
            response.extensions_mut().insert(self.degraded);
        }
    }
}

/// The future of a running handler. It holds no permit of its gate: dropping it cancels the handler
/// and drops the original answer, if the handler may decline.
///
/// Performance: boxed, so that a request without a substitute reserves no space for one.
pub struct Later<F, B, E, H>
where
    B: Body,
    H: Carried,
{
    work: Pin<Box<Work<F, B, H>>>,
    // No error is stored: it is inside the cause.
    error: PhantomData<fn() -> E>,
}

pin_project! {
    struct Work<F, B, H>
    where
        B: Body,
        H: Carried,
    {
        #[pin]
        future: F,
        finish: Option<Finish>,
        original: Original<B, H>,
    }
}

impl<F, B, E, H> Future for Later<F, B, E, H>
where
    F: Future<Output: IntoSubstitute<B, E>>,
    B: Body,
    H: Carried,
{
    type Output = Result<Response<GateBody<B, H>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let work = self.work.as_mut().project();
        Poll::Ready(match ready!(work.future.poll(cx)).into_substitute() {
            Ok(mut response) => {
                if let Some(finish) = work.finish.take() {
                    finish.apply(&mut response);
                }
                Ok(response.map(GateBody::settled))
            }
            Err(Some(error)) => Err(error),
            Err(None) => Ok(work.original.take().unwrap_or_else(no_original)),
        })
    }
}

/// The answer when a handler declined an error with the cause of another request: the error is
/// lost.
#[cold]
fn no_original<B: Body, H: Carried>() -> Response<GateBody<B, H>> {
    let mut response = Response::new(GateBody::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

impl<F, B, E, H> fmt::Debug for Later<F, B, E, H>
where
    B: Body,
    H: Carried,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}
