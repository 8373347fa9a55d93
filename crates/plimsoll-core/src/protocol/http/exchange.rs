//! `Http` as a protocol.

use ::http::{HeaderMap, Request, Response};
use http_body::Body;

use super::{body::GateBody, call::HttpCall, settings::Http, speaks::SpeaksHttp};
use crate::{
    Announcement, Classify, Hold, Rejection, RequestHead,
    protocol::{Answer, Never, Protocol},
};

impl<C> Http<C> {
    /// Lets the policies that admitted a request write to the head of its answer, in this
    /// protocol's fields.
    #[inline]
    pub fn announce(&self, held: &impl Hold, headers: &mut HeaderMap) {
        let out = Announcement::to(headers);
        held.announce(&mut out.rate_limit_fields(self.refusals.fields));
    }

    /// Builds the response that rejects `req`.
    pub fn rejection<H, B, R>(
        &self,
        req: &Request<R>,
        rejection: &Rejection,
    ) -> Response<GateBody<B, H>>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        self.refusals
            .respond(&req.into(), rejection)
            .map(GateBody::own)
    }
}

impl<C, R, B, E> Protocol<Request<R>, Response<B>, E> for Http<C>
where
    C: Classify,
    B: Body,
{
    type Call = HttpCall;
    type Response<H: Hold<Protocol = Self>> = Response<GateBody<B, H>>;
    type Error = E;
    type Later<H: Hold<Protocol = Self>> = Never<Result<Self::Response<H>, E>>;

    #[inline]
    fn begin(&self, req: &Request<R>) -> HttpCall {
        HttpCall::begin(req)
    }

    #[inline]
    fn reject<H: Hold<Protocol = Self>>(
        &self,
        _: HttpCall,
        req: &Request<R>,
        rejection: &Rejection,
    ) -> Answer<Result<Self::Response<H>, E>, Self::Later<H>> {
        Answer::Now(Ok(self.rejection(req, rejection)))
    }

    #[inline]
    fn received<H: Hold<Protocol = Self>>(held: &H, result: &mut Result<Response<B>, E>) {
        HttpCall::received(held, result);
    }

    // Performance: inlined, since a gate completes in two places, and a call would move the
    // response once more.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn complete<H: Hold<Protocol = Self>>(
        held: H,
        call: HttpCall,
        result: Result<Response<B>, E>,
    ) -> Answer<Result<Self::Response<H>, E>, Self::Later<H>> {
        Answer::Now(call.conclude(held, result))
    }

    fn head_of<'a>(&self, req: &'a Request<R>) -> Option<RequestHead<'a>> {
        Some(req.into())
    }

    #[inline]
    fn inner_error(error: E) -> E {
        error
    }
}
