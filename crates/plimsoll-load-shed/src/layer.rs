//! The layer.

use plimsoll_core::{ByExtension, GateLayer, Http};

use crate::LoadShed;

/// A [`LoadShed`] in front of services, as [`LoadShed::into_layer`] makes it.
///
/// `L` is the signal, `R` reads priorities, `T` is the protocol of rejections (HTTP and gRPC unless
/// set). The state belongs to the layer: all services it makes, and their clones, count together.
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Empty;
/// use plimsoll_core::{Criticality, Priority};
/// use plimsoll_load_shed::{LoadShed, LoadShedLayer};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # type Body = Empty<bytes::Bytes>;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let busy = || 0.9; // half-way from 0.8 to 1: batch work is shed, the rest is not
/// let layer: LoadShedLayer<_> = LoadShed::new(busy).into_layer();
/// let service = layer.layer(service_fn(|_: Request<Body>| async {
///     Ok::<_, Infallible>(Response::new(Body::new()))
/// }));
///
/// let user = service.clone().oneshot(Request::new(Body::new())).await?;
/// assert_eq!(user.status(), StatusCode::OK);
///
/// let mut batch = Request::new(Body::new());
/// batch.extensions_mut().insert(Priority::new(Criticality::SheddablePlus));
/// assert_eq!(service.oneshot(batch).await?.status(), StatusCode::SERVICE_UNAVAILABLE);
/// # Ok(())
/// # }
/// ```
pub type LoadShedLayer<L, R = ByExtension, T = Http> = GateLayer<LoadShed<L, R>, T>;
