//! The guard of a permit between its grant and the call of the inner service.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Held, Shared, end_wait};
use crate::{OnWaitEnd, Policy, WaitEnd, panics};

/// A permit granted to a queued request. Dropping it before [`start`](Self::start) revokes the
/// permit: the request never ran.
///
/// Performance: a type of its own, so that the end of a call has no test for it (`instructions`,
/// `concurrency@accept`).
pub(super) struct Granted<P: Policy<Req>, T, Req> {
    shared: Arc<Shared<P, T>>,
    /// `None` once the call has started.
    permit: Option<P::Permit>,
    queued: Instant,
    on_end: Option<OnWaitEnd>,
}

impl<P: Policy<Req>, T, Req> Granted<P, T, Req> {
    /// The permit of a request that was queued at `queued`.
    pub(super) fn new(
        shared: Arc<Shared<P, T>>,
        permit: P::Permit,
        queued: Instant,
        on_end: Option<OnWaitEnd>,
    ) -> Self {
        Self {
            shared,
            permit: Some(permit),
            queued,
            on_end,
        }
    }

    /// Reports the admission. The inner service is called next. `None` if it was called before.
    pub(super) fn start(&mut self, now: Instant) -> Option<Held<P, T, Req>> {
        let permit = self.permit.take()?;
        let waited = now.saturating_duration_since(self.queued);
        end_wait(self.on_end.take(), WaitEnd::Admitted, waited);
        let held = Held::waited(Arc::clone(&self.shared), permit, now, waited);
        (self.shared.observer).notify(|gate, observer| observer.admitted(gate, waited));
        Some(held)
    }
}

impl<P: Policy<Req>, T, Req> Drop for Granted<P, T, Req> {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        panics::in_drop(|| {
            let now = Instant::now();
            let waited = now.saturating_duration_since(self.queued);
            end_wait(self.on_end.take(), WaitEnd::Abandoned, waited);
            (self.shared.observer).notify(|gate, observer| observer.abandoned(gate, waited));
            self.shared.policy.revoke(permit, self.queued, now);
        });
    }
}
