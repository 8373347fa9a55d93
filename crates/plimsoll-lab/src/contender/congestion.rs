//! congestion-limiter, through a thin Tower layer in this file, since it has none.
//!
//! Its gradient and its Vegas get the mean of a window (its percentile sorts all answers of a
//! window, and cannot keep up with 100,000 per second); its AIMD gets answers later than half the
//! deadline as overload.

use std::{
    fmt::Debug,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use congestion_limiter::{
    aggregation::Average,
    limiter::{DefaultLimiter, Limiter, Outcome},
    limits::{Aimd, Gradient, LimitAlgorithm, Vegas, Windowed},
};
use tokio::time::Instant;
use tower::{Service, util::BoxCloneService};

use super::{Hints, Limit, Refused, Stack, stack::WIDE};
use crate::backend::{Backend, Req, Res};

/// The initial limit of the other peers.
const FIRST: usize = 20;

pub(super) fn aimd(backend: Backend, hints: Hints) -> (Stack, Limit) {
    stack(backend, hints, Aimd::new(FIRST, 1..=WIDE))
}

pub(super) fn gradient(backend: Backend, hints: Hints) -> (Stack, Limit) {
    let gradient = Gradient::new(FIRST, 1..=WIDE);
    stack(backend, hints, Windowed::new(gradient, Average::default()))
}

pub(super) fn vegas(backend: Backend, hints: Hints) -> (Stack, Limit) {
    let vegas = Vegas::new(FIRST, 1..=WIDE);
    stack(backend, hints, Windowed::new(vegas, Average::default()))
}

fn stack<L>(backend: Backend, hints: Hints, algorithm: L) -> (Stack, Limit)
where
    L: LimitAlgorithm + Debug + Send + Sync + 'static,
{
    let limiter = Arc::new(DefaultLimiter::new(algorithm));
    let meter = Arc::clone(&limiter);
    let late = Duration::from_secs_f64(hints.deadline / 2.0);
    (
        BoxCloneService::new(Limited {
            backend,
            limiter,
            late,
        }),
        Some(Box::new(move || meter.state().limit() as f64)),
    )
}

struct Limited<L> {
    backend: Backend,
    limiter: Arc<DefaultLimiter<L>>,
    late: Duration,
}

impl<L> Clone for Limited<L> {
    fn clone(&self) -> Self {
        Self {
            backend: self.backend,
            limiter: Arc::clone(&self.limiter),
            late: self.late,
        }
    }
}

impl<L: LimitAlgorithm + Debug + Send + Sync + 'static> Service<Req> for Limited<L> {
    type Response = Res;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Result<Res, Refused>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let Self {
            mut backend,
            limiter,
            late,
        } = self.clone();
        Box::pin(async move {
            let token = limiter.try_acquire().await.ok_or(Refused)?;
            let begun = Instant::now();
            let Ok(answer) = backend.call(req).await;
            let outcome = if begun.elapsed() > late {
                Outcome::Overload
            } else {
                Outcome::Success
            };
            limiter.release(token, Some(outcome)).await;
            Ok(answer)
        })
    }
}
