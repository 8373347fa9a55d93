//! Rejections of other services, in answers that pass through a gate.

use http::{Response, StatusCode};
use http_body::Body;

use super::REFUSED_BY;
use crate::Rejection;

/// Takes `plimsoll-refused-by` off an answer that another service's gate made and the inner service
/// passed on: the header says that nothing was run, and here the inner service ran.
///
/// Rejections of gates in this process have a [`Rejection`] in their extensions, and keep the header.
#[inline]
pub(in crate::protocol) fn strip_foreign_name<B: Body>(response: &mut Response<B>) {
    // Performance: a rejection is no 200, or it is a gRPC status without a body, and most answers are
    // neither (`instructions`, `gate@accept`).
    if response.status() != StatusCode::OK || response.body().is_end_stream() {
        strip(response);
    }
}

#[inline(never)]
fn strip<B>(response: &mut Response<B>) {
    if response.headers().contains_key(REFUSED_BY)
        && response.extensions().get::<Rejection>().is_none()
    {
        response.headers_mut().remove(REFUSED_BY);
    }
}
