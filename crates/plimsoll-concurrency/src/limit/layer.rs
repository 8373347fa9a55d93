//! The layer.

use plimsoll_core::{GateLayer, Http, Same};
use tower_layer::Layer;

use crate::Concurrency;

/// Puts a [`Concurrency`] limit in front of a service.
///
/// Answers refusals as HTTP or gRPC (`T` is another protocol); `D` reads deadlines, `R`
/// priorities. State lives in the layer: all
/// services it makes, and their clones, share one limit.
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use plimsoll_concurrency::{Concurrency, ConcurrencyLayer};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # type Body = Full<bytes::Bytes>;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer: ConcurrencyLayer = ConcurrencyLayer::new(Concurrency::new(1)?);
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
pub type ConcurrencyLayer<T = Http, D = (), R = Same> = GateLayer<Concurrency<D, R>, T>;

/// Nothing is this. It is there for what the compiler says of `.layer(Concurrency::adaptive())`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is a policy, not a layer",
    label = "a gate takes it: `GateLayer::new(..)`",
    note = "a gate is the layer: `.layer(GateLayer::new(Concurrency::adaptive()))`, or with several policies `GateLayer::new((rate, concurrency))`"
)]
pub trait InAGateLayer {}

#[doc(hidden)]
impl<S, D, R> Layer<S> for Concurrency<D, R>
where
    Self: InAGateLayer,
{
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}
