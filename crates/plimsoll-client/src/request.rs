//! Requests that can be sent more than once.

use http::{Extensions, HeaderMap, HeaderName, Method};

/// A request that can be sent more than once: of the `http` crate, or of `reqwest`.
///
/// Neither the request nor its body has to be `Clone`: what an attempt sends is recorded.
pub trait ReplayRequest: Sized {
    /// The request that the inner service receives.
    type Attempt;
    /// What is kept for further attempts.
    type Replay: Replay<Attempt = Self::Attempt>;
    /// What is kept of a [bare](Self::keep_bare) request.
    // Performance: a smaller type, since it is moved once more (`instructions`, `retry@accept`).
    type Bare: Into<Self::Replay>;

    /// Returns the method.
    fn method(&self) -> &Method;

    /// Returns the headers.
    fn headers(&self) -> &HeaderMap;

    /// Returns the extensions; `None` when the type has none.
    fn extensions(&self) -> Option<&Extensions>;

    /// Returns whether there is a body that has to be recorded.
    fn has_body(&self) -> bool;

    /// Returns what further attempts need: all of a request without a body.
    // Performance: in two steps, since a pair of their results would be moved twice (`instructions`,
    // `retry@accept`).
    fn keep(&self) -> Self::Replay;

    /// Returns what further attempts need of a bare request: one of which a method, a path and a version
    /// are all. `None` for others, and by default.
    // Performance: such requests are sent by a short path (`instructions`, `retry@accept`).
    #[inline]
    fn keep_bare(&self) -> Option<Self::Bare> {
        None
    }

    /// Makes the first attempt. A body is recorded in `kept` while it is sent, up to `limit` bytes;
    /// without `kept`, a request with a body can be sent once only.
    fn first(self, limit: usize, kept: Option<&mut Self::Replay>) -> Self::Attempt;
}

/// Makes further attempts of a request.
pub trait Replay {
    /// The request that the inner service receives.
    type Attempt;

    /// Stops the attempt that is still sending its body. Returns whether all that was sent has been
    /// recorded, so that the request can be sent again.
    fn stop(&mut self) -> bool;

    /// Returns whether the whole request has been recorded, so that two attempts can be sent at the
    /// same time.
    fn is_complete(&self) -> bool;

    /// Returns whether the request may be sent twice: by its method, its `Idempotency-Key` or its
    /// [`Idempotent`] mark.
    fn is_idempotent(&self) -> bool;

    /// Makes another attempt, with changed headers. `None` when that is not possible. An earlier
    /// attempt that is still sending its body ends with an error, unless the record is complete.
    fn again(&mut self, edit: impl FnOnce(&mut HeaderMap)) -> Option<Self::Attempt>;
}

/// Marks one HTTP request as safe to send twice (or not), whatever its method; to be inserted into the
/// request's extensions.
///
/// Without it, the methods `GET`, `HEAD`, `OPTIONS`, `TRACE`, `PUT`, `DELETE` and `QUERY` are safe,
/// and requests with an `Idempotency-Key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotent(pub bool);

/// Returns whether a request may be sent twice. Asks `has_key` for an `Idempotency-Key` only if needed.
#[inline]
pub(crate) fn is_idempotent(
    method: &Method,
    extensions: Option<&Extensions>,
    has_key: impl FnOnce() -> bool,
) -> bool {
    match extensions.and_then(Extensions::get) {
        Some(Idempotent(safe)) => *safe,
        None => is_idempotent_method(method) || has_key(),
    }
}

/// Returns whether a header marks its request as safe to send twice.
pub(crate) fn is_idempotency_key(name: &HeaderName) -> bool {
    name.as_str() == "idempotency-key"
}

/// The idempotent methods of RFC 9110, section 9.2.2, and `QUERY`.
#[inline]
fn is_idempotent_method(method: &Method) -> bool {
    method.is_idempotent() || method.as_str() == "QUERY"
}

#[cfg(all(test, not(loom)))]
mod tests {
    use http::Request;
    use http_body_util::Empty;

    use super::*;

    fn request(method: &str) -> Request<Empty<bytes::Bytes>> {
        let builder = Request::builder().method(method);
        builder.body(Empty::new()).unwrap()
    }

    fn is_idempotent(req: &Request<Empty<bytes::Bytes>>) -> bool {
        ReplayRequest::keep(req).is_idempotent()
    }

    #[test]
    fn idempotent_are_the_methods_of_rfc_9110_and_query() {
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"] {
            assert!(is_idempotent(&request(method)), "{method}");
        }
        for method in ["POST", "PATCH", "CONNECT", "LOCK", "query"] {
            assert!(!is_idempotent(&request(method)), "{method}");
        }
    }

    #[test]
    fn a_mark_overrides_the_method_and_a_key_makes_a_post_safe() {
        let mut get = request("GET");
        get.extensions_mut().insert(Idempotent(false));
        assert!(!is_idempotent(&get));
        let mut post = request("POST");
        post.headers_mut()
            .insert("idempotency-key", "1".parse().unwrap());
        assert!(is_idempotent(&post));
        post.extensions_mut().insert(Idempotent(false));
        assert!(!is_idempotent(&post));
        let mut patch = request("PATCH");
        patch.extensions_mut().insert(Idempotent(true));
        assert!(is_idempotent(&patch));
    }
}
