//! The layer.

use plimsoll_core::{GateLayer, protocol::ServerClassifier};

use crate::Fallback;

/// A fallback around a service, without a policy. Made by [`Fallback::into_layer`].
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use http_body_util::{BodyExt as _, Full};
/// use plimsoll_fallback::{DEGRADED, Fallback, FallbackLayer};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer: FallbackLayer<_> = Fallback::answer(Response::new("a house ad")).into_layer();
/// let service = layer.layer(service_fn(|_: Request<()>| async {
///     let mut response = Response::new(Full::<bytes::Bytes>::default());
///     *response.status_mut() = StatusCode::BAD_GATEWAY;
///     Ok::<_, std::convert::Infallible>(response)
/// }));
/// let answer = service.oneshot(Request::new(())).await?;
/// assert_eq!(answer.status(), StatusCode::OK);
/// assert_eq!(answer.headers()[DEGRADED], "failed;status=502");
/// assert_eq!(answer.into_body().collect().await?.to_bytes(), "a house ad");
/// # Ok(()) }
/// ```
pub type FallbackLayer<A, C = ServerClassifier> = GateLayer<(), Fallback<A, C>>;

impl<A, C> Fallback<A, C> {
    /// A layer with this fallback and without a policy. It also substitutes rejections by inner
    /// gates.
    pub fn into_layer(self) -> FallbackLayer<A, C> {
        GateLayer::builder(()).protocol(self).build()
    }
}
