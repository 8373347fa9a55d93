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
    /// When the inner service was called; while [`GRANTED`], when the request began to wait.
    started: Instant,
    /// When the head came.
    head: Option<Instant>,
    /// Microseconds in queues, which say enough; more than 71 minutes are 71 minutes.
    waited_micros: u32,
    permit: Option<P::Permit>,
}

/// `waited_micros` of a request that was let in after a wait, while the inner service has not been called.
const GRANTED: u32 = u32::MAX;

impl<P: Policy<Req>, T, Req> Held<P, T, Req> {
    /// A permit whose call starts now, without having waited.
    #[inline]
    pub(crate) fn running(shared: Arc<Shared<P, T>>, permit: P::Permit, now: Instant) -> Self {
        shared
            .observer
            .tell(|observer| observer.admitted(Duration::ZERO));
        Self {
            shared,
            started: now,
            head: None,
            waited_micros: 0,
            permit: Some(permit),
        }
    }

    /// A permit granted to a request that queued; it is revoked unless the call [starts](Self::start).
    pub(crate) fn granted(shared: Arc<Shared<P, T>>, permit: P::Permit, queued: Instant) -> Self {
        Self {
            shared,
            started: queued,
            head: None,
            waited_micros: GRANTED,
            permit: Some(permit),
        }
    }

    /// The inner service is about to be called.
    pub(crate) fn start(&mut self, now: Instant) {
        let waited = now.saturating_duration_since(self.started);
        self.shared
            .observer
            .tell(|observer| observer.admitted(waited));
        self.waited_micros = u32::try_from(waited.as_micros())
            .unwrap_or(GRANTED)
            .min(GRANTED - 1);
        self.started = now;
    }

    #[inline]
    fn finish(&mut self, class: Class) {
        let Some(permit) = self.permit.take() else {
            return;
        };
        if self.waited_micros == GRANTED {
            self.give_back(permit);
            return;
        }
        let outcome = Outcome::ending_now(class, self.waited_micros, self.started, self.head);
        self.shared.policy.finish(permit, &outcome);
        self.shared
            .observer
            .tell(|observer| observer.finished(&outcome));
    }

    /// It was let in and never ran.
    #[cold]
    fn give_back(&self, permit: P::Permit) {
        self.shared.policy.revoke(permit);
        let waited = Instant::now().saturating_duration_since(self.started);
        self.shared
            .observer
            .tell(|observer| observer.abandoned(waited));
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
        // A clock read is a good part of what a gate costs: not for a stack that never asks.
        if P::READS_LATENCY || self.shared.observer.is_some() {
            self.head = Some(Instant::now());
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
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}
