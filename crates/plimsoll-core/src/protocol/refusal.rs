//! A rejection on the wire: status, hints, headers and body, as HTTP or as a gRPC status.

mod accept;
mod hint;
mod hops;

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};
use bytes::Bytes;

use self::{accept::accepts_problems, hint::retry_after_secs};
pub(super) use self::{hint::hint, hops::strip_foreign_name};
use super::grpc;
use crate::{
    Allowance, Kind, RateLimitFields, Rejection, RequestHead,
    decimal::decimal,
    rate_limit_fields::{RATELIMIT, RATELIMIT_POLICY},
    wire::{THRESHOLD, grpc_content_type},
};

/// Names the policy that rejected. Its presence means that nothing was run.
pub(super) const REFUSED_BY: HeaderName = HeaderName::from_static("plimsoll-rejected-by");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Set on every rejection in every protocol: a rejection concerns one caller, and caches must not
/// serve it to others.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Makes the content type and the bytes of a rejection's body.
#[derive(Clone)]
pub(super) struct OwnBody(Arc<WriteBody>);

type WriteBody = dyn Fn(&Rejection, &RequestHead<'_>) -> (HeaderValue, Bytes) + Send + Sync;

impl OwnBody {
    pub(super) fn new(
        write: impl Fn(&Rejection, &RequestHead<'_>) -> (HeaderValue, Bytes) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(write))
    }
}

impl fmt::Debug for OwnBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnBody")
    }
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

const NAME_COUNT: usize = 7;

/// The headers of an HTTP rejection, each at the index of its [name](NAMES).
struct Headers([Option<HeaderValue>; NAME_COUNT]);

const NAMES: [HeaderName; NAME_COUNT] = [
    CACHE_CONTROL,
    RETRY_AFTER,
    CONTENT_TYPE,
    REFUSED_BY,
    RATELIMIT_POLICY,
    RATELIMIT,
    THRESHOLD,
];

impl Headers {
    /// Builds a map of these headers.
    ///
    /// Performance: hashing names is most of the cost of a map, and there are few sets of names:
    /// each set is built once, then copied and given its values (`instructions`, `gate@reject`).
    fn into_map(mut self) -> HeaderMap {
        static TEMPLATES: [OnceLock<HeaderMap>; 1 << NAME_COUNT] =
            [const { OnceLock::new() }; 1 << NAME_COUNT];
        let mut names = 0;
        for (n, value) in self.0.iter().enumerate() {
            names |= usize::from(value.is_some()) << n;
        }
        let template = TEMPLATES[names].get_or_init(|| {
            let chosen = NAMES
                .into_iter()
                .enumerate()
                .filter(|(n, _)| names & (1 << n) != 0);
            chosen.map(|(_, name)| (name, NO_STORE)).collect()
        });
        let mut map = template.clone();
        // `values_mut` yields values in the order of insertion. Performance: values are taken out
        // in place, since iterating over the array moves it.
        let values = self.0.iter_mut().filter_map(Option::take);
        for (place, value) in map.values_mut().zip(values) {
            *place = value;
        }
        map
    }
}

/// Returns the level below which all requests are shed, if the policy set it.
pub(super) fn threshold(rejection: &Rejection) -> Option<HeaderValue> {
    rejection.threshold().map(|level| decimal(level.into()))
}

/// Builds the body of RFC 9457, with the types of draft-ietf-httpapi-ratelimit-headers where they
/// fit.
///
/// Performance: with the default status and without a named quota it is a constant.
fn problem(status: StatusCode, rejection: &Rejection) -> Bytes {
    const QUOTA: &str = r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Request cannot be satisfied as assigned quota has been exceeded","status":429}"#;
    const CAPACITY: &str = r#"{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity","title":"Request cannot be satisfied due to temporary server capacity constraints","status":503}"#;
    const DEADLINE: &str = r#"{"type":"about:blank","title":"Gateway Timeout","status":504}"#;
    let usual = match rejection.kind() {
        Kind::OverQuota => QUOTA,
        Kind::Full | Kind::CircuitOpen | Kind::Skipped => CAPACITY,
        Kind::Deadline => DEADLINE,
    };
    let (start, end) = usual.split_at(usual.len() - "503}".len());
    // A checked name has no quotes, backslashes or control characters, so JSON needs no escapes.
    let quota = rejection
        .allowance()
        .map(|quota| quota.name)
        .filter(|name| Allowance::is_name(name));
    if quota.is_none() && end.starts_with(status.as_str()) {
        return Bytes::from_static(usual.as_bytes());
    }
    let mut json = Vec::with_capacity(start.len() + 100);
    json.extend_from_slice(start.as_bytes());
    json.extend_from_slice(status.as_str().as_bytes());
    if let Some(name) = quota {
        json.extend_from_slice(b",\"violated-policies\":[\"");
        json.extend_from_slice(name.as_bytes());
        json.extend_from_slice(b"\"]");
    }
    json.push(b'}');
    Bytes::from(json)
}
