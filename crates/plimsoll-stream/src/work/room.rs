//! A policy that rejects requests while a work queue has no room.

use std::convert::Infallible;

use http::{Request, header::CONTENT_LENGTH};
use plimsoll_core::{
    Instant, Outcome, Policy,
    policy::{Interests, Verdict},
};

use super::queue::WorkQueue;
use crate::QueuePolicy;

/// A [`Policy`] that rejects requests before their body is read, while a [`WorkQueue`] is full.
///
/// It reserves nothing: two requests that are admitted for the last place both read their body, and
/// the queue then rejects one of them. The `content-length` of a request counts as the weight of its
/// job. Under policies that evict queued jobs it admits every request.
///
/// ```
/// use axum::{Router, body::Bytes, extract::State, routing::post};
/// use plimsoll_core::GateLayer;
/// use plimsoll_stream::work::{HasRoom, WorkError, WorkQueue};
///
/// async fn upload(State(work): State<WorkQueue>, image: Bytes) -> Result<String, WorkError> {
///     work.run(move || format!("{} bytes", image.len())).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let work = WorkQueue::builder(64).max_bytes(32 << 20).build()?;
/// let app: Router = Router::new()
///     .route("/images", post(upload))
///     .layer(GateLayer::new(HasRoom::new(work.clone())))
///     .with_state(work);
/// # _ = app; Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct HasRoom(WorkQueue);

impl HasRoom {
    /// A policy that looks at this queue.
    pub const fn new(queue: WorkQueue) -> Self {
        Self(queue)
    }
}

impl<B> Policy<Request<B>> for HasRoom {
    type Permit = ();
    plimsoll_core::decides_at_once!(Request<B>);

    fn admit(&self, req: &mut Request<B>, _: Instant) -> Verdict<(), Infallible> {
        let running = &self.0.inner.running;
        let evicts = !matches!(
            running.queue.policy(),
            QueuePolicy::Block { .. } | QueuePolicy::DropNewest
        );
        let weight = weight(req);
        // A job that never fits gets a 413 from the queue: a retry would not help.
        let never_fits = running.queue.max_bytes().is_some_and(|max| weight > max);
        if !self.0.is_closed() && (evicts || never_fits || running.fits(weight)) {
            Verdict::Admit(())
        } else {
            running.counters.rejected.add();
            Verdict::Reject(running.rejection())
        }
    }

    fn finish(&self, (): (), _: &Outcome) {}

    fn revoke(&self, (): (), _: Instant, _: Instant) {}

    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE
    }
}

/// The length of the body, or 0 without a valid `content-length`.
fn weight<B>(req: &Request<B>) -> usize {
    let length = req.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}
