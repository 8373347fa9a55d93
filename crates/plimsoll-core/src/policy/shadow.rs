//! Shadow mode: decide and count without enforcing.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use crate::{Announcement, Interests, Outcome, Policy, Verdict, WaitsOn};

/// Runs a policy without enforcing it: admits every request, and counts what the policy would
/// reject.
///
/// Use it to try a limit on live traffic. A request that the policy admits holds its permit as
/// usual, so the policy's state is real; a request that it would reject or queue holds nothing. The
/// [`ShadowHandle`] can turn on enforcement of rejections at run time. Requests that the policy
/// would queue are always admitted without a wait.
#[doc(alias("dry run"))]
#[derive(Debug)]
pub struct Shadow<P> {
    policy: P,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    enforced: AtomicBool,
    would_admit: AtomicU64,
    would_reject: AtomicU64,
    would_wait: AtomicU64,
}

/// Reads the counters of a [`Shadow`], and turns enforcement on or off. Clones share one shadow.
#[derive(Debug, Clone)]
pub struct ShadowHandle(Arc<Counts>);

impl<P> Shadow<P> {
    /// A shadow of `policy`, which admits every request.
    pub fn new(policy: P) -> Self {
        Self {
            policy,
            counts: Arc::default(),
        }
    }

    /// Returns a handle to the counters and the switch.
    pub fn handle(&self) -> ShadowHandle {
        ShadowHandle(Arc::clone(&self.counts))
    }

    /// Returns the policy in shadow mode.
    pub fn get_ref(&self) -> &P {
        &self.policy
    }
}

impl ShadowHandle {
    /// Returns how many requests the policy admitted.
    pub fn would_admit(&self) -> u64 {
        self.0.would_admit.load(Relaxed)
    }

    /// Returns how many requests the policy rejected. While [enforced](Self::enforce), they were
    /// really rejected.
    pub fn would_reject(&self) -> u64 {
        self.0.would_reject.load(Relaxed)
    }

    /// Returns how many requests the policy would have queued.
    pub fn would_wait(&self) -> u64 {
        self.0.would_wait.load(Relaxed)
    }

    /// Enforces rejections from now on (`true`), or only counts them (`false`, the default).
    pub fn enforce(&self, enforce: bool) {
        self.0.enforced.store(enforce, Relaxed);
    }
}

impl<Req, P: Policy<Req>> Policy<Req> for Shadow<P> {
    type Permit = Option<P::Permit>;
    crate::decides_at_once!(Req);

    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Infallible> {
        match self.policy.admit(req, now) {
            Verdict::Admit(permit) => {
                self.counts.would_admit.fetch_add(1, Relaxed);
                Verdict::Admit(Some(permit))
            }
            Verdict::Reject(rejection) => {
                self.counts.would_reject.fetch_add(1, Relaxed);
                if self.counts.enforced.load(Relaxed) {
                    Verdict::Reject(rejection)
                } else {
                    Verdict::Admit(None)
                }
            }
            Verdict::Wait(wait) => {
                self.counts.would_wait.fetch_add(1, Relaxed);
                self.policy.abandon(pin!(wait), now);
                Verdict::Admit(None)
            }
        }
    }

    fn finish(&self, permit: Self::Permit, outcome: &Outcome) {
        if let Some(permit) = permit {
            self.policy.finish(permit, outcome);
        }
    }

    fn revoke(&self, permit: Self::Permit, admitted: Instant, now: Instant) {
        if let Some(permit) = permit {
            self.policy.revoke(permit, admitted, now);
        }
    }

    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        self.policy.interests(asked)
    }

    fn announce(&self, permit: &Self::Permit, admitted: Instant, out: &mut Announcement<'_>) {
        // Callers must not see a quota that is not enforced.
        if let Some(permit) = permit
            .as_ref()
            .filter(|_| self.counts.enforced.load(Relaxed))
        {
            self.policy.announce(permit, admitted, out);
        }
    }

    #[inline]
    fn body_waits(&self, permit: &mut Self::Permit, on: WaitsOn) {
        if let Some(permit) = permit {
            self.policy.body_waits(permit, on);
        }
    }
}
