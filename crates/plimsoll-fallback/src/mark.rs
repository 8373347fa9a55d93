//! The header that marks a degraded answer.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use plimsoll_core::{Rejection, policy::Allowance};

use crate::Degraded;

/// The header of substituted answers; see [`Degraded::header_value`].
pub const DEGRADED: HeaderName = HeaderName::from_static("plimsoll-degraded");

impl Degraded {
    /// The value of the header [`DEGRADED`]: a structured field item (RFC 9651), a token with
    /// parameters.
    ///
    /// | cause | value |
    /// |---|---|
    /// | a rejection | `rejected;policy="concurrency";kind=full` |
    /// | a failure | `failed;status=502` |
    /// | an error | `error` |
    pub fn header_value(&self) -> HeaderValue {
        match self {
            Self::Rejected(rejection) => {
                let (policy, kind) = (rejection.policy(), rejection.kind().as_str());
                // A name that is not valid in the field is left out.
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
}

fn value_of(value: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(value))
        .unwrap_or(HeaderValue::from_static("degraded"))
}

/// The header values of the first eight policies that rejected. A stack has few policies.
///
/// Performance: making a value is a large part of a substitute's cost. The values of further
/// policies are made each time.
#[derive(Debug, Default)]
pub(crate) struct KnownValues([OnceLock<(Rejection, HeaderValue)>; 8]);

impl KnownValues {
    pub(crate) fn of(&self, degraded: &Degraded) -> HeaderValue {
        let Degraded::Rejected(rejection) = degraded else {
            return degraded.header_value();
        };
        for slot in &self.0 {
            let (known, value) = slot.get_or_init(|| (bare(rejection), degraded.header_value()));
            // Names are static, and each policy has one: comparing pointers is enough.
            if std::ptr::eq(known.policy(), rejection.policy()) && known.kind() == rejection.kind()
            {
                return value.clone();
            }
        }
        degraded.header_value()
    }
}

/// The rejection reduced to the fields in the header.
fn bare(rejection: &Rejection) -> Rejection {
    Rejection::new(rejection.policy(), rejection.kind())
}
