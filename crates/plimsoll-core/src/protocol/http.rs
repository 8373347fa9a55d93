//! HTTP, and gRPC for requests with its content type.

use std::fmt;

use ::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use bytes::Bytes;
use http_body::Body;

use super::{
    Answer, GateBody, Never, Protocol,
    body::{Tracked, promised_length},
    grpc,
    refusal::{OwnBody, Refusals, strip_foreign_name},
};
use crate::{
    Announcement, Class, Classify, ClientClassifier, Handover, Hold, Kind, RateLimitFields,
    Rejection, Release, RequestHead, ServerClassifier, WaitsOn, panics,
};

/// Answers rejections with HTTP responses, or with gRPC statuses if the request [is
/// gRPC](crate::wire::is_grpc).
///
/// The error type stays the inner service's own. Rejections look as follows; every part can be
/// changed:
///
/// | [`Kind`] | HTTP | gRPC | hint |
/// |---|---|---|---|
/// | `OverQuota` | 429 | `RESOURCE_EXHAUSTED` | exact wait |
/// | `Full` | 503 | `UNAVAILABLE` | estimate, spread upwards to twice, over at least 2 s |
/// | `CircuitOpen` | 503 | `UNAVAILABLE` | exact wait |
/// | `Deadline` | 504 | `DEADLINE_EXCEEDED` | none |
/// | `Skipped` | 202, empty | `RESOURCE_EXHAUSTED`, not to be retried | none |
///
/// - Every rejection has `cache-control: no-store`, and the [`Rejection`] in the response's
///   extensions.
/// - HTTP rejections have `retry-after` (whole seconds, rounded up), an `application/problem+json`
///   body unless `accept` rules it out (or your own [`body`](Http::body)), and [`RateLimitFields`] if the policy set a quota.
/// - `plimsoll-rejected-by` has the policy's name, and means that nothing was run, so a retry is
///   safe. It is removed from answers of other services that the inner service forwards, since
///   something was run here.
/// - gRPC rejections are Trailers-Only with `grpc-retry-pushback-ms` and, in
///   `grpc-status-details-bin`, `google.rpc.RetryInfo` and (if the policy set a quota)
///   `google.rpc.QuotaFailure`.
///
/// # End of a call
///
/// The permit is held to the end of the response body, unless [`release`](Http::release) or the
/// handler ([`Release`] or [`Handover`] in the response's extensions) changes that. Latency is
/// always from request to head.
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
    /// HTTP with its defaults, for a gate around a client: a callee's 408 is a failure, a 429 an
    /// overload.
    ///
    /// A callee's `plimsoll-rejected-by` reaches the caller, since nothing was run there.
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

    /// Ends permits at the head or at the end of the response, unless the handler decides.
    /// [`Release::AtEnd`] by default.
    #[must_use]
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// Answers rejections of this kind with another HTTP status.
    #[must_use]
    pub fn status(mut self, kind: Kind, status: StatusCode) -> Self {
        self.refusals.set_status(kind, status);
        self
    }

    /// Answers rejections of this kind with another gRPC status code (0 to 16).
    #[must_use]
    pub fn grpc_code(mut self, kind: Kind, code: u8) -> Self {
        self.refusals.set_grpc_code(kind, code);
        self
    }

    /// Sets whether rejections name the policy in `plimsoll-rejected-by`. `true` by default.
    #[must_use]
    pub fn name_policy(mut self, name: bool) -> Self {
        self.refusals.name_policy = name;
        self
    }

    /// Sets whether HTTP rejections have an `application/problem+json` body. `true` by default.
    #[must_use]
    pub fn problem_details(mut self, body: bool) -> Self {
        self.refusals.problem_details = body;
        self
    }

    /// Sets the body of HTTP rejections: its content type and bytes. Status and headers stay as
    /// they are.
    ///
    /// Replaces the `application/problem+json` body, whatever the request's `accept` says. With
    /// empty bytes the rejection has no body and no content type. gRPC rejections have no body, so
    /// `write` is not called for them.
    ///
    /// `write` runs once per rejection, on the task of the request: under overload most answers are
    /// rejections, so keep it cheap. A panic in it reaches the server like a panic of a handler.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use http::HeaderValue;
    /// use plimsoll_core::{GateLayer, Http};
    /// # let limit = ();
    ///
    /// const JSON: HeaderValue = HeaderValue::from_static("application/json");
    ///
    /// let http = Http::new().body(|rejection, _request| {
    ///     let body = format!(r#"{{"error":"{}"}}"#, rejection.kind().as_str());
    ///     (JSON, Bytes::from(body))
    /// });
    /// let layer = GateLayer::builder(limit).protocol(http).build();
    /// # let _: GateLayer<(), Http> = layer;
    /// ```
    #[must_use]
    pub fn body<W>(mut self, write: W) -> Self
    where
        W: Fn(&Rejection, &RequestHead<'_>) -> (HeaderValue, Bytes) + Send + Sync + 'static,
    {
        self.refusals.body = Some(OwnBody::new(write));
        self
    }

    /// Sets the headers that state quotas, on rejections and on accepted answers.
    /// [`RateLimitFields::DRAFT_11`] by default.
    #[must_use]
    pub fn rate_limit_fields(mut self, fields: RateLimitFields) -> Self {
        self.refusals.fields = fields;
        self
    }

    /// Returns the classifier of answers.
    pub const fn classifier(&self) -> &C {
        &self.classifier
    }

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
    /// The classifier of its answers.
    type Classifier: Classify;
    /// Returns the HTTP settings in use.
    fn http(&self) -> &Http<Self::Classifier>;
}

impl<C: Classify> SpeaksHttp for Http<C> {
    type Classifier = C;

    #[inline]
    fn http(&self) -> &Self {
        self
    }
}

/// What [`Http`] keeps about a request until the inner service answers.
#[derive(Debug, Clone, Copy)]
pub struct HttpCall {
    /// Whether the response's body will not be sent: `HEAD`.
    bodiless: bool,
}

impl HttpCall {
    /// Reads the request.
    #[inline]
    pub fn begin<R>(req: &Request<R>) -> Self {
        Self {
            bodiless: req.method() == Method::HEAD,
        }
    }

    /// Returns the class of a response from its head. A [`Rejection`] in the extensions, left by an
    /// inner gate, takes precedence.
    #[inline]
    pub fn class<T: SpeaksHttp, B: Body>(self, protocol: &T, response: &Response<B>) -> Class {
        if !response.extensions().is_empty() && is_rejection(response) {
            return Class::Rejected;
        }
        class_of_head(protocol, response)
    }

    /// Removes `plimsoll-rejected-by` from another service's rejection that the inner service
    /// forwards. The header means that nothing was run, and here the inner service ran.
    ///
    /// Rejections by gates in this process have a [`Rejection`] in their extensions, and keep the
    /// header.
    #[inline]
    pub fn received<H, B, E>(held: &H, result: &mut Result<Response<B>, E>)
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        // Performance: a rejection has another status than 200, or is a gRPC status without a body;
        // most answers are neither (`instructions`, `gate@accept`).
        if let Ok(response) = result
            && (response.status() != StatusCode::OK || response.body().is_end_stream())
            && !held.protocol().http().refusals.foreign_names
        {
            strip_foreign_name(response);
        }
    }

    /// Attaches the permit to the response's body, or ends it when the call ends with the head.
    #[inline(always)]
    #[allow(clippy::inline_always)] // As for `Protocol::complete`.
    pub fn complete<H, B>(self, held: H, response: Response<B>) -> Response<GateBody<B, H>>
    where
        H: Hold<Protocol: SpeaksHttp>,
        B: Body,
    {
        self.tie(None, held, response)
    }

    /// As [`complete`](Self::complete), with a class that is already known.
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
    #[allow(clippy::inline_always)] // As for `Protocol::complete`.
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
        let announces = held.interests().announce();
        // Performance: most of the cost is moving response and permit (`instructions`,
        // `gate@accept`). So the permit is put into its final place at once, and rare cases are
        // handled out of line, by reference: a response that may be written to is moved once more.
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
        let is_rare = at_head || self.is_rare(&response);
        if is_rare {
            self.look_closer(&mut slot, &response);
        }
        response.map(|body| GateBody::carrying(body, slot))
    }

    /// Returns whether the response needs [`look_closer`](Self::look_closer). Most responses do
    /// not.
    #[inline]
    fn is_rare<B: Body>(self, response: &Response<B>) -> bool {
        self.bodiless
            || response.status() != StatusCode::OK
            || response.version() == Version::HTTP_2
            || !response.extensions().is_empty()
            || response.body().is_end_stream()
    }

    /// Returns whether nothing follows the head.
    fn is_over<B: Body>(self, response: &Response<B>) -> bool {
        self.bodiless
            || response.body().is_end_stream()
            || matches!(response.status().as_u16(), ..200 | 204 | 304)
    }

    /// Handles rare responses: reads their extensions and, if the call ends with the head, ends the
    /// permit.
    ///
    /// A call ends with the head when there is no body, or when the layer or the handler says so.
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
            // The service was not called, so there is nothing else to read.
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
                    // The owner of the socket reads and writes without reporting it.
                    tracked.waits(WaitsOn::Service);
                    handover.put(Box::new(SettleOnDrop(tracked)));
                }
                None => tracked.settle(),
            }
        }
    }

    /// Ends the permit of a call that the inner service answered with an error.
    #[inline]
    pub fn fail<H: Hold<Protocol: SpeaksHttp>>(self, held: H) {
        let class = held.protocol().http().classifier().service_error();
        held.settle(class);
    }

    /// [Completes](Self::complete) a response, or [fails](Self::fail) an error, of the inner
    /// service.
    ///
    /// # Errors
    ///
    /// The inner service's error.
    #[allow(clippy::inline_always)] // Performance: a call would move the response once more.
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

/// Returns the class of a response without reading its extensions.
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

/// Returns whether an inner gate made this response.
///
/// Performance: out of line, since most responses have no extensions (`instructions`,
/// `fallback@accept`).
#[inline(never)]
fn is_rejection<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Rejection>().is_some()
}

/// Returns whether only the trailers tell the class of a response: gRPC, which is always HTTP/2.
fn awaits_trailers<B>(response: &Response<B>) -> bool {
    response.version() == Version::HTTP_2 && grpc::is_grpc(response.headers())
}

/// A handed-over permit. It ends with its response's class when the claim is dropped.
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
