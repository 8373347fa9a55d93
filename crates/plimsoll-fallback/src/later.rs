//! The way from a substitute to the gate's response.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Extensions, HeaderMap, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use plimsoll_core::{Answer, Carried, GateBody};

use crate::{
    Cause, Degraded,
    substitute::Made,
    switches::{Switch, Switches},
};

/// What is left to do to a substitute.
#[derive(Debug)]
pub(crate) struct Finish {
    /// `None` when substitutes are not marked.
    degraded: Option<Degraded>,
    /// What the policies announce to accepted callers.
    pub(crate) headers: HeaderMap,
}

impl Finish {
    /// Counts the substitute that is about to be made.
    pub(crate) fn new<E>(cause: &Cause<E>, switches: &Switches) -> Self {
        let degraded = cause.degraded();
        switches.count(&degraded);
        Self {
            degraded: Some(degraded).filter(|_| switches.is(Switch::Marked)),
            headers: HeaderMap::new(),
        }
    }

    #[allow(clippy::type_complexity)] // The protocol's own answer.
    pub(crate) fn answer<F, B, E, H>(
        self,
        made: Made<F>,
    ) -> Answer<Result<Response<GateBody<B, H>>, E>, Later<F, B, E, H>>
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
                future,
                finish: Some(self),
                response: PhantomData,
            }),
        }
    }

    fn apply<B>(self, response: &mut Response<B>) {
        // Repeated names come as one name and then none.
        let mut last = None;
        for (name, value) in self.headers {
            last = name.or(last);
            if let Some(name) = &last {
                // Fails only past 32,768 headers.
                _ = response.headers_mut().try_append(name, value);
            }
        }
        if let Some(degraded) = self.degraded {
            // One borrow at a time.
            let mut extensions: Extensions = std::mem::take(response.extensions_mut());
            degraded.mark(response.headers_mut(), &mut extensions);
            *response.extensions_mut() = extensions;
        }
    }
}

pin_project! {
    /// A handler at work. It holds no permit: dropping it cancels the handler and nothing else.
    pub struct Later<F, B, E, H> {
        #[pin]
        future: F,
        finish: Option<Finish>,
        response: PhantomData<fn() -> (B, E, H)>,
    }
}

impl<F, B, E, H> Future for Later<F, B, E, H>
where
    F: Future<Output = Response<B>>,
    B: Body,
    H: Carried,
{
    type Output = Result<Response<GateBody<B, H>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.future.poll(cx));
        if let Some(finish) = this.finish.take() {
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
