//! A queued request: waits for its permit, then for the inner service.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    Held, Hold as _, Shared,
    answer::{AnswerOf, polled_again},
    end_wait,
    granted::Granted,
};
use crate::{OnWaitEnd, Policy, Protocol, WaitEnd, panics, protocol::Answer};

/// The result of a wait.
pub(super) enum Waited<S, P, T, Req>
where
    S: Service<Req>,
    P: Policy<Req> + 'static,
    T: Protocol<Req, S::Response, S::Error>,
    Req: 'static,
{
    Called(S::Future, Held<P, T, Req>, T::Call),
    Answer(AnswerOf<S, P, T, Req>),
}

pin_project! {
    /// A request in a policy's queue, with everything needed to call the inner service later.
    pub(super) struct Waiting<S, P, T, Req>
    where
        P: Policy<Req>,
    {
        shared: Arc<Shared<P, T>>,
        inner: S,
        req: Option<Req>,
        queued: Instant,
        #[pin]
        stage: Stage<P, T, Req>,
    }

    impl<S, P, T, Req> PinnedDrop for Waiting<S, P, T, Req>
    where
        P: Policy<Req>,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let StageProj::Queued { wait, on_end } = this.stage.project() {
                let now = Instant::now();
                let waited = now.saturating_duration_since(*this.queued);
                let shared = this.shared;
                end_wait(on_end.take(), WaitEnd::Abandoned, waited);
                shared.observer.notify(|gate, observer| observer.abandoned(gate, waited));
                panics::in_drop(|| shared.policy.abandon(wait, now));
            }
        }
    }
}

pin_project! {
    #[project = StageProj]
    enum Stage<P, T, Req>
    where
        P: Policy<Req>,
    {
        // In the policy's queue.
        Queued { #[pin] wait: P::Wait, on_end: Option<OnWaitEnd> },
        // Granted, and the inner service is not ready yet. Dropping it here revokes the permit.
        Granted { granted: Granted<P, T, Req> },
        // Rejected, or the inner service was called.
        Over,
    }
}

impl<S, P, T, Req> Waiting<S, P, T, Req>
where
    P: Policy<Req>,
{
    pub(super) fn new(
        shared: Arc<Shared<P, T>>,
        inner: S,
        req: Req,
        wait: P::Wait,
        queued: Instant,
    ) -> Self {
        let on_end = shared.observer.queued();
        Self {
            shared,
            inner,
            req: Some(req),
            queued,
            stage: Stage::Queued { wait, on_end },
        }
    }
}

impl<S, P, T, Req> Waiting<S, P, T, Req>
where
    S: Service<Req>,
    P: Policy<Req> + 'static,
    T: Protocol<Req, S::Response, S::Error>,
    Req: 'static,
{
    #[cold]
    pub(super) fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Waited<S, P, T, Req>> {
        let mut this = self.project();
        loop {
            let Some(req) = this.req.as_mut() else {
                polled_again()
            };
            match this.stage.as_mut().project() {
                StageProj::Queued { wait, on_end } => {
                    let now = Instant::now();
                    match ready!(this.shared.policy.poll_wait(wait, req, now, cx)) {
                        Ok(permit) => {
                            let shared = Arc::clone(this.shared);
                            let on_end = on_end.take();
                            let granted = Granted::new(shared, permit, *this.queued, on_end);
                            this.stage.set(Stage::Granted { granted });
                        }
                        Err(rejection) => {
                            let waited = now.saturating_duration_since(*this.queued);
                            end_wait(on_end.take(), WaitEnd::Rejected, waited);
                            this.stage.set(Stage::Over);
                            let answer = this.shared.reject::<S, Req>(req, &rejection);
                            return Poll::Ready(Waited::Answer(answer));
                        }
                    }
                }
                StageProj::Granted { granted } => {
                    if let Err(error) = ready!(this.inner.poll_ready(cx)) {
                        // Revokes the permit: the request never ran.
                        this.stage.set(Stage::Over);
                        let answer = Answer::Now(Err(T::inner_error(error)));
                        return Poll::Ready(Waited::Answer(answer));
                    }
                    let held = granted.start(Instant::now());
                    let (Some(held), Some(req)) = (held, this.req.take()) else {
                        polled_again()
                    };
                    this.stage.set(Stage::Over);
                    let call = held.protocol().begin(&req);
                    let future = this.inner.call(req);
                    return Poll::Ready(Waited::Called(future, held, call));
                }
                StageProj::Over => polled_again(),
            }
        }
    }
}
