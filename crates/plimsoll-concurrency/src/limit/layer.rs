//! The layer's name.

use plimsoll_core::{GateLayer, Http, Same};

use crate::ConcurrencyLimit;

/// Applies a [`ConcurrencyLimit`] to a service.
///
/// Rejections are HTTP or gRPC responses (`T` selects another protocol); `D` reads deadlines, `R`
/// priorities. The state lives in the layer: all services it creates, and their clones, share one
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
/// let layer: ConcurrencyLimitLayer = ConcurrencyLimitLayer::new(ConcurrencyLimit::new(1)?);
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
pub type ConcurrencyLimitLayer<T = Http, D = (), R = Same> = GateLayer<ConcurrencyLimit<D, R>, T>;
