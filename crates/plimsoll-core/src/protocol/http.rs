//! HTTP, and gRPC where the content type says so.

use std::fmt;

use ::http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::Body;

use super::{
    Answer, GateBody, Never, Protocol,
    body::{Tracked, promised_length},
    grpc,
    refusal::{Refusals, strip_foreign_name},
};
use crate::{
    Announcement, Class, Classify, ClientClassifier, Handover, Hold, Kind, RateLimitFields,
    Rejection, Release, RequestHead, ServerClassifier, WaitsOn, panics,
};

/// Answers rejections with HTTP responses, or with gRPC statuses where the request
/// [is gRPC](crate::wire::is_grpc), so that the error type stays the inner service's own.
///
/// What a refusal looks like (each line can be changed):
///
/// | [`Kind`] | HTTP | gRPC | hint |
/// |---|---|---|---|
/// | `OverQuota` | 429 | `RESOURCE_EXHAUSTED` | exact wait |
/// | `Full` | 503 | `UNAVAILABLE` | estimate, spread upwards to twice, over at least 2 s |
/// | `CircuitOpen` | 503 | `UNAVAILABLE` | exact wait |
/// | `Deadline` | 504 | `DEADLINE_EXCEEDED` | none |
/// | `Skipped` | 202, empty | `RESOURCE_EXHAUSTED`, not to be retried | none |
///
/// All rejections carry `cache-control: no-store`, gRPC ones as well.
/// HTTP rejections carry `retry-after` (whole seconds, rounded up), an
/// `application/problem+json` body unless `accept` rules it out, [`RateLimitFields`] when the policy told its quota,
/// and `plimsoll-refused-by` with the policy's name, which also says that nothing was run and a retry is safe. (It is taken
/// off answers of other services that the inner service passes on, because something was run here.) gRPC refusals are Trailers-Only with `grpc-retry-pushback-ms` and, in `grpc-status-details-bin`,
/// `google.rpc.RetryInfo` and (for a quota that was told) `google.rpc.QuotaFailure`. The [`Rejection`] is in the
/// response's extensions.
///
/// # When a call is over
///
/// The permit is held to the end of the response body, unless [`release`](Http::release) or the handler says
/// otherwise ([`Release`] or [`Handover`] in the response's extensions). Latency is always request to head.
#[derive(Clone)]
pub struct Http<C = ServerClassifier> {
    classifier: C,
    release: Release,
    refusals: Refusals,
}

impl Http {
    /// HTTP with its defaults, for a gate in front of this service's handlers.
    pub const fn new() -> Self {
        Self::classified_by(ServerClassifier)
    }
}

impl Http<ClientClassifier> {
    /// HTTP with its defaults, for a gate around a client: a 408 of the callee is a failure, a 429 an
    /// overload.
    ///
    /// A callee's `plimsoll-refused-by` reaches the caller: nothing was run there.
    pub const fn client() -> Self {
        let mut http = Self::classified_by(ClientClassifier);
        http.refusals.foreign_names = true;
        http
    }
}

impl<C> Http<C> {
    const fn classified_by(classifier: C) -> Self {
        Self {
            classifier,
            release: Release::AtEnd,
            refusals: Refusals::DEFAULT,
        }
    }
}

impl<C> Http<C> {
    /// Classifies answers with `classifier` instead of [`ServerClassifier`].
    #[must_use]
    pub fn classify<D: Classify>(self, classifier: D) -> Http<D> {
        Http {
            classifier,
            release: self.release,
            refusals: self.refusals,
        }
    }

    /// Gives permits back at the head or at the end of the response, where the handler does not say.
    #[must_use]
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// Answers refusals of this kind with another HTTP status.
    #[must_use]
    pub fn status(mut self, kind: Kind, status: StatusCode) -> Self {
        self.refusals.set_status(kind, status);
        self
    }

    /// Answers refusals of this kind with another gRPC status code (0 to 16).
    #[must_use]
    pub fn grpc_code(mut self, kind: Kind, code: u8) -> Self {
        self.refusals.set_grpc_code(kind, code);
        self
    }

    /// Whether refusals name the policy in `plimsoll-refused-by`. They do, unless this is switched off.
    #[must_use]
    pub fn name_policy(mut self, name: bool) -> Self {
        self.refusals.name_policy = name;
        self
    }

    /// Whether HTTP refusals have an `application/problem+json` body. They do, unless this is switched off.
    #[must_use]
    pub fn problem_details(mut self, body: bool) -> Self {
        self.refusals.problem_details = body;
        self
    }

    /// Tells callers their quota in these headers, on refusals and on accepted answers, instead of
    /// [`RateLimitFields::DRAFT_11`].
    #[must_use]
    pub fn rate_limit_fields(mut self, fields: RateLimitFields) -> Self {
        self.refusals.fields = fields;
        self
    }

    /// Tells the class of answers.
    pub const fn classifier(&self) -> &C {
        &self.classifier
    }

    /// Lets the policies that admitted a request write to the head of its answer, in this protocol's fields.
    #[inline]
    pub fn announce(&self, held: &impl Hold, headers: &mut HeaderMap) {
        let out = Announcement::to(headers);
        held.announce(&mut out.rate_limit_fields(self.refusals.fields));
    }

    /// The response that says no to `req`.
    pub fn refusal<H, B, R>(
        &self,
        req: &Request<R>,
        rejection: &Rejection,
    ) -> Response<GateBody<B, H>>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        self.refusals
            .respond(req.method(), req.headers(), rejection)
            .map(GateBody::own)
    }
}

impl Default for Http {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for Http<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("release", &self.release)
            .finish_non_exhaustive()
    }
}

/// A protocol that is [`Http`], or wraps it.
pub trait SpeaksHttp: Send + Sync + 'static {
    /// What classifies its answers.
    type Classifier: Classify;
    /// The HTTP rules it goes by.
    fn http(&self) -> &Http<Self::Classifier>;
}

impl<C: Classify> SpeaksHttp for Http<C> {
    type Classifier = C;

    #[inline]
    fn http(&self) -> &Self {
        self
    }
}

/// What HTTP remembers of a request while the inner service has it.
#[derive(Debug, Clone, Copy)]
pub struct HttpCall {
    /// The response's body will not be sent: `HEAD`.
    bodiless: bool,
}

impl HttpCall {
    /// Looks at the request.
    #[inline]
    pub fn begin<R>(req: &Request<R>) -> Self {
        Self {
            bodiless: req.method() == Method::HEAD,
        }
    }

    /// The class of a response as far as its head tells. A [`Rejection`] in its extensions decides:
    /// an inner gate left it there.
    #[inline]
    pub fn class<T: SpeaksHttp, B: Body>(self, protocol: &T, response: &Response<B>) -> Class {
        if !response.extensions().is_empty() && is_rejection(response) {
            return Class::Rejected;
        }
        class_of_head(protocol, response)
    }

    /// Takes `plimsoll-refused-by` off an answer that another service's gate made and the inner service
    /// passed on: it says that nothing was run, and here the inner service ran.
    ///
    /// Rejections of gates in this process have a [`Rejection`] in their extensions, and keep it.
    #[inline]
    pub fn received<H, B, E>(held: &H, result: &mut Result<Response<B>, E>)
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        // Performance: a rejection is no 200, or it is a gRPC status without a body, and most answers
        // are neither (`instructions`, `gate@accept`).
        if let Ok(response) = result
            && (response.status() != StatusCode::OK || response.body().is_end_stream())
            && !held.protocol().http().refusals.foreign_names
        {
            strip_foreign_name(response);
        }
    }

    /// Ties the permit to the response's body, or settles it where the call ends with the head.
    #[inline(always)]
    #[allow(clippy::inline_always)] // as `Protocol::complete`
    pub fn complete<H, B>(self, held: H, response: Response<B>) -> Response<GateBody<B, H>>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        self.tie(None, held, response)
    }

    /// The same, with the class already known.
    #[inline]
    pub fn complete_as<H, B>(
        self,
        class: Class,
        held: H,
        response: Response<B>,
    ) -> Response<GateBody<B, H>>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        self.tie(Some(class), held, response)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // as `Protocol::complete`
    fn tie<H, B>(
        self,
        class: Option<Class>,
        held: H,
        mut response: Response<B>,
    ) -> Response<GateBody<B, H>>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        let announces = held.announces();
        // Performance: most of the cost is moving response and permit (`instructions`,
        // `gate@accept`). So the permit is put where it stays at once, and what is unusual is read
        // elsewhere, by reference: a response that may be written to on its way is moved once more.
        let mut slot = None;
        let tracked = slot.insert(Tracked::new(held));
        let protocol = tracked.held.protocol();
        let class = class.unwrap_or_else(|| class_of_head(protocol, &response));
        let http = protocol.http();
        if announces {
            http.announce(&tracked.held, response.headers_mut());
        }
        let at_head = http.release == Release::AtHead;
        tracked.expect(class, promised_length(&response));
        let unusual = at_head || self.is_unusual(&response);
        if unusual {
            self.look_closer(&mut slot, &response);
        }
        response.map(|body| GateBody::carrying(body, slot))
    }

    /// Whether more is to be read from the response than its body's end. Most responses are not
    /// unusual.
    #[inline]
    fn is_unusual<B: Body>(self, response: &Response<B>) -> bool {
        self.bodiless
            || response.status() != StatusCode::OK
            || response.version() == Version::HTTP_2
            || !response.extensions().is_empty()
            || response.body().is_end_stream()
    }

    /// Whether nothing follows the head.
    fn is_over<B: Body>(self, response: &Response<B>) -> bool {
        self.bodiless
            || response.body().is_end_stream()
            || matches!(response.status().as_u16(), ..200 | 204 | 304)
    }

    /// Reads what only few responses say, and takes the permit where there is no body, or where the
    /// layer or the handler says that the call ends with the head.
    #[inline(never)]
    fn look_closer<H, B>(self, slot: &mut Option<Tracked<H>>, response: &Response<B>)
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        let Some(tracked) = slot.as_mut() else {
            return;
        };
        tracked.awaits_trailers = awaits_trailers(response);
        let mut release = tracked.held.protocol().http().release;
        let mut handover = None;
        let stated = response.extensions();
        if is_rejection(response) {
            // The service was not called: there is nothing else to read.
            tracked.class = Class::Rejected;
        } else if !stated.is_empty() {
            tracked.costing(stated.get());
            release = stated.get().copied().unwrap_or(release);
            handover = stated.get::<Handover>();
        }
        let at_head = release == Release::AtHead || handover.is_some() || self.is_over(response);
        if let Some(mut tracked) = slot.take_if(|_| at_head) {
            match handover {
                Some(handover) => {
                    // Whoever owns the socket reads and writes without telling.
                    tracked.waits(WaitsOn::Service);
                    handover.put(Box::new(SettleOnDrop(tracked)));
                }
                None => tracked.settle(),
            }
        }
    }

    /// The inner service answered with an error: settles the permit.
    #[inline]
    pub fn fail<H: Hold<Protocol: SpeaksHttp>>(self, held: H) {
        let class = held.protocol().http().classifier().service_error();
        held.settle(class);
    }

    /// The inner service is done with the call: [completes](Self::complete) it, or lets it [fail](Self::fail).
    ///
    /// # Errors
    ///
    /// The inner service's.
    #[allow(clippy::inline_always)] // a call of its own would move the response once more
    #[inline(always)]
    pub fn conclude<H, B, E>(
        self,
        held: H,
        result: Result<Response<B>, E>,
    ) -> Result<Response<GateBody<B, H>>, E>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        match result {
            Ok(response) => Ok(self.complete(held, response)),
            Err(error) => {
                self.fail(held);
                Err(error)
            }
        }
    }
}

/// The class of a response without a look at its extensions.
#[inline]
fn class_of_head<T: SpeaksHttp, B: Body>(protocol: &T, response: &Response<B>) -> Class {
    let classifier = protocol.http().classifier();
    let class = classifier.head(response.status(), response.headers());
    if response.body().is_end_stream() {
        classifier.end(class, response.headers())
    } else {
        class
    }
}

/// Whether an inner gate made this response.
///
/// Performance: out of line, since most responses have no extensions (`instructions`,
/// `fallback@accept`).
#[inline(never)]
fn is_rejection<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Rejection>().is_some()
}

/// Whether the class of a response is known from its trailers only: gRPC, over HTTP/2 always.
fn awaits_trailers<B>(response: &Response<B>) -> bool {
    response.version() == Version::HTTP_2 && grpc::is_grpc(response.headers())
}

/// A handed-over permit, which ends with its response's class when the claim on it is dropped.
struct SettleOnDrop<H: Hold>(Tracked<H>);

impl<H: Hold> Drop for SettleOnDrop<H> {
    fn drop(&mut self) {
        panics::in_drop(|| self.0.settle());
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
    fn refuse<H: Hold<Protocol = Self>>(
        &self,
        _: HttpCall,
        req: &Request<R>,
        rejection: &Rejection,
    ) -> Answer<Result<Self::Response<H>, E>, Self::Later<H>> {
        Answer::Now(Ok(self.refusal(req, rejection)))
    }

    #[inline]
    fn received<H: Hold<Protocol = Self>>(held: &H, result: &mut Result<Response<B>, E>) {
        HttpCall::received(held, result);
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // a gate completes in two places, and what it moves it would move once more for a call
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
