//! `Fallback` as a protocol: `Http` with substitutes.

use std::sync::Arc;

use http::{Method, Request, Response};
use http_body::Body;
use plimsoll_core::{
    Class, Rejection, RequestHead,
    protocol::{Answer, Carried, Classify, GateBody, Hold, HttpCall, Protocol, SpeaksHttp},
    wire,
};

use crate::{
    Cause, Degraded, Failed, Fallback,
    later::{AnswerOf, Finish, Later, Original},
    substitute::{IntoSubstitute, Substitute},
    switches::Switch,
};

/// The state of a request while the inner service runs.
#[derive(Debug)]
pub struct FallbackCall<T> {
    http: HttpCall,
    /// The captured part of the request; `None` when there will be no substitute.
    armed: Option<T>,
}

impl<A, C> Fallback<A, C> {
    /// Whether a request can get a substitute.
    #[inline]
    fn arms<R>(&self, req: &Request<R>) -> bool {
        // Performance: gRPC is always POST, so the headers of other requests are not read.
        self.switches.is(Switch::Enabled)
            && (req.method() != Method::POST
                || !wire::is_grpc(req)
                || self.switches.is(Switch::Grpc))
    }
}

/// Whether to substitute an answer of this class.
#[cold]
fn wants<A, C, B>(fallback: &Fallback<A, C>, class: Class, response: &Response<B>) -> bool {
    let (extensions, switches) = (response.extensions(), &fallback.switches);
    if let Some(rejection) = extensions.get::<Rejection>() {
        return switches.is(Switch::Kind(rejection.kind()));
    }
    switches.steps_in_for(class)
        // A substitute of an inner fallback stays, unless it failed as well: then its original
        // cause decides, too.
        || (failed(class) && extensions.get().is_some_and(|cause| switches.is(switch_for(cause))))
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
    fn reject<H: Hold<Protocol = Self>>(
        &self,
        call: Self::Call,
        req: &Request<R>,
        rejection: &Rejection,
    ) -> Answer<Result<Self::Response<H>, E>, Self::Later<H>> {
        match call.armed {
            Some(captured) if self.switches.is(Switch::Kind(rejection.kind())) => {
                let cause = Cause::Rejected(*rejection);
                let may_decline = may_decline::<A, R, B, E>();
                let finish = Finish::new(&cause, &self.switches, may_decline);
                let original = may_decline.then(|| self.http().rejection(req, rejection));
                finish.answer(self.answer.substitute(cause, captured), original)
            }
            _ => Answer::Now(Ok(self.http().rejection(req, rejection))),
        }
    }

    #[inline]
    fn received<H: Hold<Protocol = Self>>(held: &H, result: &mut Result<Response<B>, E>) {
        HttpCall::received(held, result);
    }

    #[inline]
    fn complete<H: Hold<Protocol = Self>>(
        held: H,
        call: Self::Call,
        result: Result<Response<B>, E>,
    ) -> Answer<Result<Self::Response<H>, E>, Self::Later<H>> {
        let FallbackCall { http, armed } = call;
        match result {
            Ok(response) => {
                let class = http.class(held.protocol(), &response);
                match armed {
                    // The rejection of an inner gate may have any status; the extension identifies
                    // it.
                    Some(captured)
                        if (failed(class) || !response.extensions().is_empty())
                            && wants(held.protocol(), class, &response) =>
                    {
                        replace(held, class, response, captured)
                    }
                    _ => Answer::Now(Ok(http.complete_as(class, held, response))),
                }
            }
            Err(error) => match armed {
                Some(captured) if held.protocol().switches.is(Switch::Errors) => {
                    let may_decline = may_decline::<A, R, B, E>();
                    let cause = Cause::Error(error);
                    let substitute = Pending::new(&held, cause, captured, may_decline);
                    http.fail(held);
                    substitute.make(None)
                }
                _ => {
                    http.fail(held);
                    Answer::Now(Err(error))
                }
            },
        }
    }

    fn head_of<'a>(&self, req: &'a Request<R>) -> Option<RequestHead<'a>> {
        Some(req.into())
    }

    #[inline]
    fn inner_error(error: E) -> E {
        error
    }
}

/// The switch that substitutes answers with this cause.
const fn switch_for(cause: &Degraded) -> Switch {
    match cause {
        Degraded::Rejected(rejection) => Switch::Kind(rejection.kind()),
        Degraded::Failed(_) => Switch::Failures,
        Degraded::Error => Switch::Errors,
    }
}

#[inline]
const fn failed(class: Class) -> bool {
    matches!(class, Class::Failure | Class::Overloaded)
}

/// Returns whether the handler may decline.
const fn may_decline<A, R, B, E>() -> bool
where
    A: Substitute<R, B, E>,
{
    <<A::Future as Future>::Output as IntoSubstitute<B, E>>::MAY_DECLINE
}

/// Replaces an answer by a substitute. The permit ends before the substitute is made.
///
/// The body is dropped, with the permits of inner gates that it holds, unless the handler may
/// decline.
#[cold]
fn replace<A, C, R, B, E, H>(
    held: H,
    class: Class,
    response: Response<B>,
    captured: A::Captured,
) -> AnswerOf<A::Future, B, E, H>
where
    A: Substitute<R, B, E>,
    C: Classify,
    B: Body,
    H: Hold<Protocol = Fallback<A, C>>,
{
    let may_decline = may_decline::<A, R, B, E>();
    let (head, body) = response.into_parts();
    let original = may_decline.then(|| {
        let mut original = Response::from_parts(head.clone(), GateBody::settled(body));
        let http = held.protocol().http();
        http.announce(&held, original.headers_mut());
        original
    });
    let cause = match head.extensions.get::<Rejection>() {
        Some(rejection) => Cause::Rejected(*rejection),
        None => Cause::Failed(Failed { class, head }),
    };
    let substitute = Pending::new(&held, cause, captured, may_decline);
    held.settle(class);
    substitute.make(original)
}

/// A substitute to be made: everything it needs from the permit's gate, so that the permit can end
/// first.
struct Pending<A, T, E> {
    answer: Arc<A>,
    cause: Cause<E>,
    captured: T,
    finish: Finish,
}

impl<A, T, E> Pending<A, T, E> {
    fn new<C, H>(held: &H, cause: Cause<E>, captured: T, may_decline: bool) -> Self
    where
        H: Hold<Protocol = Fallback<A, C>>,
        Fallback<A, C>: SpeaksHttp,
    {
        let fallback = held.protocol();
        let finish = Finish::new(&cause, &fallback.switches, may_decline).announced_by(held);
        Self {
            answer: Arc::clone(&fallback.answer),
            cause,
            captured,
            finish,
        }
    }

    fn make<R, B, H>(self, original: Original<B, H>) -> AnswerOf<A::Future, B, E, H>
    where
        A: Substitute<R, B, E, Captured = T>,
        B: Body,
        H: Carried,
    {
        self.finish
            .answer(self.answer.substitute(self.cause, self.captured), original)
    }
}
