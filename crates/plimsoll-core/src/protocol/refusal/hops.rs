//! Rejections of other services in forwarded answers.

use http::Response;

use super::headers::REFUSED_BY;
use crate::Rejection;

/// Removes the policy's name, unless a gate in this process left it together with a [`Rejection`].
#[inline(never)]
pub(in crate::protocol) fn strip_foreign_name<B>(response: &mut Response<B>) {
    if response.headers().contains_key(REFUSED_BY)
        && response.extensions().get::<Rejection>().is_none()
    {
        response.headers_mut().remove(REFUSED_BY);
    }
}
