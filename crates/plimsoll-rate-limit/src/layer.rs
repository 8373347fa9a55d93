//! The layers: a gate with one rate limit.

use plimsoll_core::{GateLayer, Http};

use crate::{KeyedRateLimit, One, RateLimit};

/// One [`RateLimit`] in front of services, as [`RateLimit::into_layer`] makes it.
///
/// The parameters of the policy come first, then the protocol `T`.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use plimsoll_rate_limit::{Quota, RateLimit, RateLimitLayer};
/// use tower::{Layer as _, ServiceExt as _, service_fn};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let hello = service_fn(|_: Request<()>| async {
///         Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
///     });
///     let layer: RateLimitLayer = RateLimit::new(Quota::per_minute(1))?.into_layer();
///     let service = layer.layer(hello);
///
///     let first = service.clone().oneshot(Request::new(())).await?;
///     assert_eq!(first.status(), StatusCode::OK);
///
///     let second = service.clone().oneshot(Request::new(())).await?;
///     assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
///     assert_eq!(second.headers()["retry-after"], "60");
///     Ok(())
/// }
/// ```
pub type RateLimitLayer<const N: usize = 1, C = One, T = Http> = GateLayer<RateLimit<N, C>, T>;

/// One [`RateLimit`] per key in front of services; see [`RateLimit::per_key`].
pub type KeyedRateLimitLayer<K, const N: usize = 1, C = One, T = Http> =
    GateLayer<KeyedRateLimit<K, N, C>, T>;
