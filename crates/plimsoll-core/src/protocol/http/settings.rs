//! `Http` and its settings.

use std::fmt;

use ::http::{HeaderValue, StatusCode};
use bytes::Bytes;

use crate::{
    Classify, ClientClassifier, Kind, RateLimitFields, Rejection, Release, RequestHead,
    ServerClassifier,
    protocol::refusal::{OwnBody, Refusals},
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
///   body unless `accept` rules it out (or your own [`body`](Http::body)), and
///   [`RateLimitFields`] if the policy set a quota.
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
/// handler ([`Release`] or [`Handover`](crate::Handover) in the response's extensions) changes that. Latency is
/// always from request to head.
#[doc(alias("429", "503", "retry-after", "problem+json"))]
#[derive(Clone)]
pub struct Http<C = ServerClassifier> {
    classifier: C,
    pub(super) release: Release,
    pub(super) refusals: Refusals,
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
    /// Replaces the `application/problem+json` body, and does not depend on `accept`. With empty
    /// bytes the rejection has no body and no content type. gRPC rejections have no body, so `write`
    /// is not called for them.
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
    #[doc(alias("problem details", "error body"))]
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
