//! Tells the client that the answer is degraded.

use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use plimsoll_core::Allowance;

use crate::Degraded;

/// The header of substituted answers; see [`Degraded::header_value`].
pub const DEGRADED: HeaderName = HeaderName::from_static("plimsoll-degraded");

impl Degraded {
    /// What the header [`DEGRADED`] says: a structured field item (RFC 9651), a token with parameters.
    ///
    /// | cause | value |
    /// |---|---|
    /// | a refusal | `rejected;policy="concurrency";kind=full` |
    /// | a failure | `failed;status=502` |
    /// | an error | `error` |
    pub fn header_value(&self) -> HeaderValue {
        match self {
            Self::Rejected(rejection) => {
                let (policy, kind) = (rejection.policy(), rejection.kind().as_str());
                // A name that cannot stand in the field is left out.
                let value = if Allowance::is_name(policy) {
                    ["rejected;policy=\"", policy, "\";kind=", kind].concat()
                } else {
                    ["rejected;kind=", kind].concat()
                };
                value_of(value)
            }
            Self::Failed(status) => value_of(["failed;status=", status.as_str()].concat()),
            Self::Error => HeaderValue::from_static("error"),
        }
    }

    pub(crate) fn mark(self, headers: &mut HeaderMap, extensions: &mut Extensions) {
        // Fails only past 32,768 headers, and then the mark is the least of the troubles.
        _ = headers.try_insert(DEGRADED, self.header_value());
        extensions.insert(self);
    }
}

fn value_of(value: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(value))
        .unwrap_or(HeaderValue::from_static("degraded"))
}
