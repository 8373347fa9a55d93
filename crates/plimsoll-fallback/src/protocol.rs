//! `Fallback` as a protocol: `Http`, with substitutes.

use http::{Method, Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use plimsoll_core::{
    Answer, Class, Classify, GateBody, Hold, HttpCall, Protocol, Rejection, SpeaksHttp as _,
};

use crate::{
    Cause, Degraded, Failed, Fallback,
    later::{Finish, Later},
    substitute::Substitute,
    switches::Switch,
};

/// What is remembered of a request while the inner service has it.
#[derive(Debug)]
pub struct FallbackCall<T> {
    http: HttpCall,
    /// What the substitute needs of the request; `None` when there will be none.
    armed: Option<T>,
}

impl<A, C> Fallback<A, C> {
    /// Whether a request may get a substitute at all.
    #[inline]
    fn arms<R>(&self, req: &Request<R>) -> bool {
        // gRPC is always POST: other requests' headers need not be looked at.
        self.switches.is(Switch::Enabled)
            && (req.method() != Method::POST || !is_grpc(req) || self.switches.is(Switch::Grpc))
    }
}

#[inline]
fn is_grpc<R>(req: &Request<R>) -> bool {
    req.headers()
        .get(CONTENT_TYPE)
        .is_some_and(|content_type| content_type.as_bytes().starts_with(b"application/grpc"))
}

/// The cause to step in for an answer, if there is one and it is switched on.
fn cause_of<A, C, B, E>(
    fallback: &Fallback<A, C>,
    class: Class,
    response: Response<B>,
) -> Result<Cause<E>, Response<B>> {
    let extensions = response.extensions();
    // A substitute of a fallback further in is meant to be seen.
    if extensions.get::<Degraded>().is_some() {
        return Err(response);
    }
    if let Some(rejection) = extensions.get::<Rejection>().copied() {
        return if fallback.switches.is(Switch::Kind(rejection.kind())) {
            Ok(Cause::Rejected(rejection))
        } else {
            Err(response)
        };
    }
    if fallback.switches.steps_in_for(class) {
        // The body is dropped here, and what it holds further in with it.
        let (head, _) = response.into_parts();
        Ok(Cause::Failed(Failed { class, head }))
    } else {
        Err(response)
    }
}

impl<A, C, R, B, E> Protocol<Request<R>, Response<B>, E> for Fallback<A, C>
where
    A: Substitute<R, B, E>,
    C: Classify,
    B: Body,
{
    type Call = FallbackCall<A::Captured>;
    type Response<H: Hold<Protocol = Self>> = Response<GateBody<B, H>>;
    type Error = E;
    type Later<H: Hold<Protocol = Self>> = Later<A::Future, B, E, H>;

    #[inline]
    fn begin(&self, req: &Request<R>) -> Self::Call {
        let armed = self.arms(req).then(|| self.answer.capture(req));
        FallbackCall {
            http: HttpCall::begin(req),
            armed,
        }
    }

    #[inline]
    fn refuse<H: Hold<Protocol = Self>>(
        &self,
        call: Self::Call,
        req: &Request<R>,
        rejection: &Rejection,
    ) -> Answer<Result<Self::Response<H>, E>, Self::Later<H>> {
        match call.armed {
            Some(captured) if self.switches.is(Switch::Kind(rejection.kind())) => {
                let cause = Cause::Rejected(*rejection);
                let finish = Finish::new(&cause, &self.switches);
                finish.answer(self.answer.substitute(cause, captured))
            }
            _ => Answer::Now(Ok(self.http().refusal(req, rejection))),
        }
    }

    #[inline]
    fn complete<H: Hold<Protocol = Self>>(
        held: H,
        call: Self::Call,
        result: Result<Response<B>, E>,
    ) -> Answer<Result<Self::Response<H>, E>, Self::Later<H>> {
        let FallbackCall { http, armed } = call;
        match (result, armed) {
            (Ok(response), None) => Answer::Now(Ok(http.complete(held, response))),
            (Ok(response), Some(captured)) => {
                let class = http.class(held.protocol(), &response);
                // The refusal of a gate further in may have any status; it is known by its extension.
                if !failed(class) && response.extensions().is_empty() {
                    return Answer::Now(Ok(http.complete_as(class, held, response)));
                }
                step_in(held, http, class, response, captured)
            }
            (Err(error), Some(captured)) if held.protocol().switches.is(Switch::Errors) => {
                let fallback = held.protocol();
                let cause = Cause::Error(error);
                let mut finish = Finish::new(&cause, &fallback.switches);
                held.announce(&mut finish.headers);
                let answer = fallback.answer.clone();
                http.fail(held);
                finish.answer(answer.substitute(cause, captured))
            }
            (Err(error), _) => {
                http.fail(held);
                Answer::Now(Err(error))
            }
        }
    }

    #[inline]
    fn inner_error(error: E) -> E {
        error
    }
}

#[inline]
const fn failed(class: Class) -> bool {
    matches!(class, Class::Failure | Class::Overloaded)
}

/// An answer that may be in need of a substitute. The permit ends before the substitute is made.
#[cold]
#[allow(clippy::type_complexity)] // The protocol's own answer.
fn step_in<A, C, R, B, E, H>(
    held: H,
    http: HttpCall,
    class: Class,
    response: Response<B>,
    captured: A::Captured,
) -> Answer<Result<Response<GateBody<B, H>>, E>, Later<A::Future, B, E, H>>
where
    A: Substitute<R, B, E>,
    C: Classify,
    B: Body,
    H: Hold<Protocol = Fallback<A, C>>,
{
    let fallback = held.protocol();
    let cause = match cause_of(fallback, class, response) {
        Ok(cause) => cause,
        Err(response) => return Answer::Now(Ok(http.complete_as(class, held, response))),
    };
    let mut finish = Finish::new(&cause, &fallback.switches);
    held.announce(&mut finish.headers);
    let answer = fallback.answer.clone();
    held.settle(class);
    finish.answer(answer.substitute(cause, captured))
}
