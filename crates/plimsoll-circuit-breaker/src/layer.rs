//! The layer.

use plimsoll_core::{GateLayer, Http};

use crate::CircuitBreaker;

/// A [`CircuitBreaker`] in front of a service, as [`CircuitBreaker::into_layer`] makes it.
///
/// ```
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let breaker = CircuitBreaker::builder().window(10).min_calls(5).failure_rate(0.5).build()?;
/// let handle = breaker.handle();
/// let layer: CircuitBreakerLayer = breaker.into_layer();
///
/// let broken = layer.layer(service_fn(|_: Request<()>| async {
///     let mut response = Response::new(Full::<bytes::Bytes>::default());
///     *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
///     Ok::<_, std::convert::Infallible>(response)
/// }));
/// for _ in 0..5 {
///     let answer = broken.clone().oneshot(Request::new(())).await?;
///     assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// }
/// // Half of at least five calls failed: from now on calls are rejected.
/// let answer = broken.clone().oneshot(Request::new(())).await?;
/// assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
/// let wait = answer.headers()["retry-after"].to_str()?.parse::<u64>()?;
/// assert!((5..=8).contains(&wait), "5 s, and up to half of that longer");
/// assert_eq!(handle.state().as_str(), "open");
/// # Ok(()) }
/// ```
///
/// Calling `layer` again shares the breaker; see [`GateLayer`]. For clients that do not use HTTP:
/// `GateLayer::builder(breaker).protocol(Plain::new()).build()`.
pub type CircuitBreakerLayer<T = Http> = GateLayer<CircuitBreaker, T>;
