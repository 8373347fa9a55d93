//! A rejection on the wire: status, hints, headers and body, as HTTP or as a gRPC status.

mod accept;
mod details;
mod grpc;
mod headers;
mod hint;
mod hops;
mod own_body;
mod problem;

use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;

pub use self::details::retry_info;
use self::{
    accept::accepts_problems,
    headers::{Headers, NO_STORE, threshold},
    hint::{hint, retry_after_secs},
    problem::{PROBLEM_JSON, problem},
};
pub(super) use self::{grpc::is_grpc, hops::strip_foreign_name, own_body::OwnBody};
use crate::{
    Kind, RateLimitFields, Rejection, RequestHead, decimal::decimal, wire::grpc_content_type,
};

/// Returns the trailers that end a gRPC stream for the reason of this rejection, with a message that
/// needs no percent-encoding.
///
/// For streams that have begun: without `plimsoll-rejected-by`, since something was run.
pub fn grpc_trailers(rejection: &Rejection, message: &'static str) -> HeaderMap {
    let code = Refusals::DEFAULT.grpc_codes[rejection.kind().index()];
    let mut trailers = HeaderMap::with_capacity(4);
    grpc::write_status(&mut trailers, code, message, rejection, &HeaderMap::new());
    trailers
}

/// How each kind of rejection is written.
#[derive(Debug, Clone)]
pub(super) struct Refusals {
    statuses: [StatusCode; Kind::ALL.len()],
    grpc_codes: [u8; Kind::ALL.len()],
    pub(super) name_policy: bool,
    pub(super) problem_details: bool,
    /// The user's own body, which replaces the problem document.
    pub(super) body: Option<OwnBody>,
    /// Whether answers of other services keep their `plimsoll-rejected-by`.
    pub(super) foreign_names: bool,
    pub(super) fields: RateLimitFields,
}

impl Refusals {
    pub(super) const DEFAULT: Self = Self {
        // In the order of `Kind::ALL`.
        statuses: [
            StatusCode::TOO_MANY_REQUESTS,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::GATEWAY_TIMEOUT,
            StatusCode::ACCEPTED,
        ],
        grpc_codes: [
            grpc::RESOURCE_EXHAUSTED,
            grpc::UNAVAILABLE,
            grpc::UNAVAILABLE,
            grpc::DEADLINE_EXCEEDED,
            grpc::RESOURCE_EXHAUSTED,
        ],
        name_policy: true,
        problem_details: true,
        body: None,
        foreign_names: false,
        fields: RateLimitFields::DRAFT_11,
    };

    pub(super) fn set_status(&mut self, kind: Kind, status: StatusCode) {
        self.statuses[kind.index()] = status;
    }

    pub(super) fn set_grpc_code(&mut self, kind: Kind, code: u8) {
        self.grpc_codes[kind.index()] = code;
    }

    /// Builds the rejection of a request with this head.
    pub(super) fn respond(&self, head: &RequestHead<'_>, rejection: &Rejection) -> Response<Bytes> {
        let asked = head.headers;
        let mut response = match grpc_content_type(head.method, asked) {
            Some(content_type) => {
                let code = self.grpc_codes[rejection.kind().index()];
                let policy_name = self.policy_name(rejection);
                grpc::refusal(code, rejection, asked, content_type.clone(), policy_name)
            }
            None => self.http(head, rejection),
        };
        response.extensions_mut().insert(*rejection);
        response
    }

    /// Returns the policy's name as a header value, without a copy or an allocation. `None` if the
    /// name is not a valid header value.
    fn policy_name(&self, rejection: &Rejection) -> Option<HeaderValue> {
        let name = self
            .name_policy
            .then(|| Bytes::from_static(rejection.policy().as_bytes()))?;
        HeaderValue::from_maybe_shared(name).ok()
    }

    /// Returns the content type and the bytes of the body; `None` for no body.
    fn body(
        &self,
        status: StatusCode,
        head: &RequestHead<'_>,
        rejection: &Rejection,
    ) -> Option<(HeaderValue, Bytes)> {
        if let Some(OwnBody(write)) = &self.body {
            return Some(write(rejection, head)).filter(|(_, bytes)| !bytes.is_empty());
        }
        let explained = self.problem_details
            && rejection.kind() != Kind::Skipped
            && accepts_problems(head.headers);
        explained.then(|| (PROBLEM_JSON, problem(status, rejection)))
    }

    fn http(&self, head: &RequestHead<'_>, rejection: &Rejection) -> Response<Bytes> {
        let status = self.statuses[rejection.kind().index()];
        let hint = hint(rejection, retry_after_secs, 1).map(Duration::from_secs);
        let (policy, left) = match rejection.allowance() {
            // `t` must not be later than `retry-after`, or a caller that retries then would think
            // it too early.
            Some(quota) => self.fields.pair(&quota.no_later_than(hint)),
            None => (None, None),
        };
        let (content_type, bytes) = self.body(status, head, rejection).unzip();
        let mut response = Response::new(bytes.unwrap_or_default());
        *response.status_mut() = status;
        *response.headers_mut() = Headers([
            Some(NO_STORE),
            hint.map(|wait| decimal(wait.as_secs())),
            content_type,
            self.policy_name(rejection),
            policy,
            left,
            threshold(rejection),
        ])
        .into_map();
        if let Some(quota) = rejection.allowance() {
            let quota = quota.no_later_than(hint);
            self.fields.write_legacy(&quota, response.headers_mut());
        }
        response
    }
}
