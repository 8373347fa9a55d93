//! Requests that no policy is asked about.

use http::Request;

/// A condition for [`When`](plimsoll_core::When): all requests but those for these paths, which health checks and metrics are
/// scraped from. A path that ends in `/` stands for all below it.
///
/// ```
/// use plimsoll_core::{GateLayer, When};
/// use plimsoll_load_shed::except_paths;
/// # type Body = String;
/// # let shed = plimsoll_load_shed::LoadShed::new(|| 0.0);
/// let checked = except_paths(["/healthz", "/metrics", "/grpc.health.v1.Health/"]);
/// let layer = GateLayer::new(When::new(checked, shed));
/// # fn serves<L, P: plimsoll_core::Policy<http::Request<Body>>>(_: GateLayer<P>) {}
/// # serves::<(), _>(layer);
/// ```
///
/// A balancer that sheds health checks takes a busy server out, and gives its load to the others.
pub fn except_paths<B>(
    paths: impl IntoIterator<Item = impl Into<String>>,
) -> impl Fn(&Request<B>) -> bool + Send + Sync {
    let paths: Vec<String> = paths.into_iter().map(Into::into).collect();
    move |req| {
        let asked = req.uri().path();
        let is =
            |path: &String| asked == path || (path.ends_with('/') && asked.starts_with(&**path));
        !paths.iter().any(is)
    }
}
