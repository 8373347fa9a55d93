//! The layer: a gate that samples.

use plimsoll_core::{GateLayer, Http};

use crate::{Mark, Random, Sampling};

/// A [`Sampling`] in front of services, as [`Sampling::into_layer`] makes it.
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use plimsoll_sampling::{Rates, Sampled, Sampling, SamplingLayer};
/// use tower::{Layer as _, ServiceExt as _, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let page = service_fn(|req: Request<()>| async move {
///     let text = if Sampled::of(&req).keep { "served and recorded" } else { "served" };
///     Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(text))))
/// });
/// # let overloaded = || 1.5;
/// let sampling = Sampling::new(overloaded, Rates { min: 0.0, ..Rates::DEFAULT })?;
/// let layer: SamplingLayer<_> = sampling.into_layer();
/// let answer = layer.layer(page).oneshot(Request::new(())).await?;
/// assert_eq!(answer.status(), StatusCode::OK);
/// # let body = http_body_util::BodyExt::collect(answer.into_body()).await?;
/// # assert_eq!(body.to_bytes(), "served");
/// assert_eq!(layer.policy().handle().skipped(), 1);
///
/// // An ingest route rejects the requests that are left out:
/// let ingest = service_fn(|_: Request<()>| async {
///     Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from("stored"))))
/// });
/// let rejecting = Sampling::new(overloaded, Rates { min: 0.0, ..Rates::DEFAULT })?.reject_and_mark();
/// let answer = rejecting.into_layer().layer(ingest).oneshot(Request::new(())).await?;
/// assert_eq!(answer.status(), StatusCode::ACCEPTED);
/// # Ok(())
/// # }
/// ```
pub type SamplingLayer<L, D = Random, M = Mark, T = Http> = GateLayer<Sampling<L, D, M>, T>;
