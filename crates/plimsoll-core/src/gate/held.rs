//! The guard that ends every permit exactly once.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderMap;
use tokio::time::Instant;

use super::Shared;
use crate::{Class, Outcome, Policy};

/// A permit in flight, as a [`Protocol`](crate::Protocol) sees it: it times the head, and settles the permit.
///
/// Dropping one unsettled is how a call is cancelled: the policy is told [`Class::Cancelled`], or
/// [`Class::Failure`] when the thread is unwinding from a panic.
pub trait Hold: Send + 'static {
    /// The protocol of the gate this permit belongs to.
    type Protocol;
    /// The protocol of the gate this permit belongs to.
    fn protocol(&self) -> &Self::Protocol;
    /// Lets the policy write to the head of an accepted response.
    fn announce(&self, headers: &mut HeaderMap);
    /// The head of the response is here: stops the latency clock.
    fn head(&mut self);
    /// The call is over.
    fn settle(self, class: Class);
}

/// The permit of one request: one `Arc` to what the gates of a layer share, and the policy's plain data.
///
/// Whatever happens to the request (response, error, panic, dropped future, dropped body, a service that never
/// became ready) this guard calls [`Policy::finish`] or [`Policy::revoke`] exactly once.
pub struct Held<P: Policy<Req>, T, Req> {
    shared: Arc<Shared<P, T>>,
    permit: Option<P::Permit>,
    clock: Clock,
}

/// Where the call is in its life.
#[derive(Debug, Clone, Copy)]
enum Clock {
    /// Granted after a wait that began then; the inner service has not been called.
    Granted { queued: Instant },
    /// The inner service is working on it since `started`.
    Running { waited: Duration, started: Instant },
    /// The head came after `latency`; the body is on its way.
    Headed { waited: Duration, latency: Duration },
}

impl<P: Policy<Req>, T, Req> Held<P, T, Req> {
    /// A permit whose call starts now, without having waited.
    #[inline]
    pub(crate) fn running(shared: Arc<Shared<P, T>>, permit: P::Permit, now: Instant) -> Self {
        shared
            .observer
            .tell(|observer| observer.admitted(Duration::ZERO));
        let clock = Clock::Running {
            waited: Duration::ZERO,
            started: now,
        };
        Self {
            shared,
            permit: Some(permit),
            clock,
        }
    }

    /// A permit granted to a request that queued; it is revoked unless the call [starts](Self::start).
    pub(crate) fn granted(shared: Arc<Shared<P, T>>, permit: P::Permit, queued: Instant) -> Self {
        Self {
            shared,
            permit: Some(permit),
            clock: Clock::Granted { queued },
        }
    }

    /// The inner service is about to be called.
    pub(crate) fn start(&mut self, now: Instant) {
        if let Clock::Granted { queued } = self.clock {
            let waited = now.saturating_duration_since(queued);
            self.shared
                .observer
                .tell(|observer| observer.admitted(waited));
            self.clock = Clock::Running {
                waited,
                started: now,
            };
        }
    }

    #[inline]
    fn finish(&mut self, class: Class) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        let outcome = match self.clock {
            Clock::Headed { waited, latency } => Outcome::ending_now(class, waited, latency),
            Clock::Running { waited, started } => {
                let now = Instant::now();
                let mut outcome = Outcome::new(class, now.saturating_duration_since(started), now);
                outcome.waited = waited;
                outcome
            }
            Clock::Granted { queued } => {
                self.shared.policy.revoke(permit);
                let waited = Instant::now().saturating_duration_since(queued);
                self.shared
                    .observer
                    .tell(|observer| observer.abandoned(waited));
                return;
            }
        };
        self.shared.policy.finish(permit, &outcome);
        self.shared
            .observer
            .tell(|observer| observer.finished(&outcome));
    }
}

impl<P, T, Req> Hold for Held<P, T, Req>
where
    P: Policy<Req> + 'static,
    T: Send + Sync + 'static,
    Req: 'static,
{
    type Protocol = T;

    #[inline]
    fn protocol(&self) -> &T {
        &self.shared.protocol
    }

    #[inline]
    fn announce(&self, headers: &mut HeaderMap) {
        if let Some(permit) = &self.permit {
            self.shared.policy.announce(permit, headers);
        }
    }

    #[inline]
    fn head(&mut self) {
        if let Clock::Running { waited, started } = self.clock {
            let latency = Instant::now().saturating_duration_since(started);
            self.clock = Clock::Headed { waited, latency };
        }
    }

    #[inline]
    fn settle(mut self, class: Class) {
        self.finish(class);
    }
}

impl<P: Policy<Req>, T, Req> Drop for Held<P, T, Req> {
    #[inline]
    fn drop(&mut self) {
        if self.permit.is_some() {
            let class = if std::thread::panicking() {
                Class::Failure
            } else {
                Class::Cancelled
            };
            self.finish(class);
        }
    }
}

impl<P: Policy<Req>, T, Req> fmt::Debug for Held<P, T, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
