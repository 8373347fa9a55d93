//! The layers: a gate with one rate limit.

use plimsoll_core::{GateLayer, Http};

use crate::{KeyedRateLimit, RateLimit};

/// Puts one [`RateLimit`] in front of services.
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
///     let limit = RateLimit::new(Quota::per_minute(1))?;
///     let service = RateLimitLayer::new(limit).layer(hello);
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
pub type RateLimitLayer<T = Http> = GateLayer<RateLimit, T>;

/// Puts one [`RateLimit`] per key in front of services; see [`RateLimit::per_key`].
pub type KeyedRateLimitLayer<K, T = Http> = GateLayer<KeyedRateLimit<K>, T>;
