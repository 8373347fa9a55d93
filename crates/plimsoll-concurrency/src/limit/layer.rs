//! The layer's name.

use plimsoll_core::{GateLayer, Http, Same};

use crate::ConcurrencyLimit;

/// A [`ConcurrencyLimit`] in front of services, as [`ConcurrencyLimit::into_layer`] makes it.
///
/// The parameters of the policy come first: `D` reads deadlines, `R` priorities. Rejections are
/// HTTP or gRPC responses (`T` selects another protocol). The state lives in the layer: all services it creates, and their clones, share one
/// limit.
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitLayer};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # type Body = Full<bytes::Bytes>;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer: ConcurrencyLimitLayer = ConcurrencyLimit::new(1)?.into_layer();
/// let service = layer.layer(service_fn(|_: Request<Body>| async {
///     Ok::<_, Infallible>(Response::new(Body::from("hello")))
/// }));
///
/// // The response holds the slot until its body ends.
/// let first = service.clone().oneshot(Request::new(Body::default())).await?;
/// let second = service.clone().oneshot(Request::new(Body::default())).await?;
/// assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
///
/// drop(first);
/// let third = service.oneshot(Request::new(Body::default())).await?;
/// assert_eq!(third.status(), StatusCode::OK);
/// # Ok(())
/// # }
/// ```
pub type ConcurrencyLimitLayer<D = (), R = Same, T = Http> = GateLayer<ConcurrencyLimit<D, R>, T>;
