//! Conditions for [`When`](crate::When): which requests a policy is asked about.

use http::{
    Method, Request,
    header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN},
};

/// Decides whether [`When`](crate::When) asks its policy about a request.
///
/// Implemented for closures `Fn(&Req) -> bool`. A pair of conditions holds when both hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a condition for requests of type `{Req}`",
    note = "use `except_paths(..)`, `except_preflight()`, a closure `|req: &{Req}| -> bool`, or a pair of these"
)]
pub trait Condition<Req>: Send + Sync {
    /// Returns whether the policy is asked about this request.
    fn holds(&self, req: &Req) -> bool;
}

impl<Req, F> Condition<Req> for F
where
    F: Fn(&Req) -> bool + Send + Sync,
{
    #[inline]
    fn holds(&self, req: &Req) -> bool {
        self(req)
    }
}

impl<Req, A: Condition<Req>, B: Condition<Req>> Condition<Req> for (A, B) {
    #[inline]
    fn holds(&self, req: &Req) -> bool {
        self.0.holds(req) && self.1.holds(req)
    }
}

/// Exempts requests for these paths, such as health checks and metrics, from the policy in a
/// [`When`](crate::When).
///
/// | pattern | exempts |
/// |---|---|
/// | `/health` | this path only |
/// | `/internal/*` | every path that starts with `/internal/` |
///
/// - A pattern is the whole path from the root. Inside axum's `nest`, the path before nesting is
///   compared (feature `axum`). With other routers that strip prefixes, the stripped path is
///   compared.
/// - The path is compared as sent: without the query, case-sensitive, percent-encoded.
/// - Each request is compared with each pattern. For more than about ten patterns use a closure.
///
/// A load balancer takes an instance out of service when its health checks are rejected, which
/// overloads the others.
///
/// ```
/// use plimsoll_core::{GateLayer, When, except_paths, except_preflight};
/// # let (limit, breaker) = ((), ());
/// # type Body = String;
/// let limited = When::new(except_paths(["/health", "/grpc.health.v1.Health/*"]), limit);
/// // Both at once.
/// let guarded = When::new((except_paths(["/health"]), except_preflight()), breaker);
/// let layer = GateLayer::new((limited, guarded));
/// # fn serves<P: plimsoll_core::Policy<http::Request<Body>>>(_: GateLayer<P>) {}
/// # serves(layer);
/// ```
#[doc(alias("health check"))]
pub fn except_paths(patterns: impl IntoIterator<Item = impl Into<String>>) -> ExceptPaths {
    let patterns = patterns.into_iter();
    ExceptPaths(patterns.map(|text| Pattern::new(text.into())).collect())
}

/// Exempts CORS preflight requests from the policy in a [`When`](crate::When).
///
/// A preflight is an `OPTIONS` request with `origin` and `access-control-request-method` (Fetch
/// standard, section 4.8). Browsers send it without credentials and report a rejected one as a CORS
/// error. Only needed when the gate is outside the layer that answers preflights.
///
/// Combines with [`except_paths`] as a pair.
#[doc(alias("CORS"))]
pub const fn except_preflight() -> ExceptPreflight {
    ExceptPreflight(())
}

/// Holds for all requests except those for some paths. Made by [`except_paths`].
#[derive(Debug, Clone)]
pub struct ExceptPaths(Box<[Pattern]>);

/// Holds for all requests except CORS preflights. Made by [`except_preflight`].
#[derive(Debug, Clone, Copy)]
pub struct ExceptPreflight(());

impl<B> Condition<Request<B>> for ExceptPaths {
    #[inline]
    fn holds(&self, req: &Request<B>) -> bool {
        let path = whole_path(req);
        !self.0.iter().any(|pattern| pattern.covers(path))
    }
}

impl<B> Condition<Request<B>> for ExceptPreflight {
    #[inline]
    fn holds(&self, req: &Request<B>) -> bool {
        // Performance: the headers of other methods are not read.
        req.method() != Method::OPTIONS
            || !req.headers().contains_key(ORIGIN)
            || !req.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }
}

/// Returns the path before a router stripped a prefix, if known.
fn whole_path<B>(req: &Request<B>) -> &str {
    #[cfg(feature = "axum")]
    if let Some(axum::extract::OriginalUri(uri)) = req.extensions().get() {
        return uri.path();
    }
    req.uri().path()
}

#[derive(Debug, Clone)]
enum Pattern {
    Exact(String),
    Prefix(String),
}

impl Pattern {
    fn new(mut pattern: String) -> Self {
        if pattern.ends_with('*') {
            pattern.pop();
            return Self::Prefix(pattern);
        }
        Self::Exact(pattern)
    }

    #[inline]
    fn covers(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Prefix(prefix) => path.starts_with(&**prefix),
        }
    }
}
