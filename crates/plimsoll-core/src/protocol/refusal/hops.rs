//! Rejections of other services, in answers that pass through a gate.

use http::Response;

use super::REFUSED_BY;
use crate::Rejection;

/// Removes the name of the policy, unless a gate in this process left it and the [`Rejection`].
#[inline(never)]
pub(in crate::protocol) fn strip_foreign_name<B>(response: &mut Response<B>) {
    if response.headers().contains_key(REFUSED_BY)
        && response.extensions().get::<Rejection>().is_none()
    {
        response.headers_mut().remove(REFUSED_BY);
    }
}
