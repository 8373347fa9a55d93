//! Shadow mode: decide and count without enforcing.

mod counts;
mod figures;
mod handle;

use std::{
    convert::Infallible,
    fmt,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use self::counts::Counts;
pub use self::{
    counts::{ShadowKeys, ShadowRejection},
    handle::ShadowHandle,
};
use crate::{Announcement, Interests, Key, Outcome, Policy, Verdict, WaitsOn, key::label_of};

/// Most keys that a shadow counts by: 65,536 labels of up to 128 bytes are 8 MiB.
/// `a_shadow_by_key_has_bounds` fails when it differs.
const MAX_KEYS: usize = 1 << 16;

/// Runs a policy without enforcing it: admits every request, and counts what the policy would
/// reject.
///
/// Use it to try a limit on live traffic. A request that the policy admits holds its permit as
/// usual, so the policy's state is real; a request that it would reject or queue holds nothing. The
/// [`ShadowHandle`] can turn on enforcement of rejections at run time. Requests that the policy
/// would queue are always admitted without a wait.
///
/// # What it reports
///
/// The handle counts rejections, in total and [by reason](ShadowHandle::would_reject_as).
/// [`by_key`](Self::by_key) counts them by key. [`ShadowHandle::on_rejection`] reports each.
#[derive(Debug)]
pub struct Shadow<P, K = ()> {
    policy: P,
    key: K,
    counts: Arc<Counts>,
}

/// The capacity of a shadow by key is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidShadow(usize);

impl fmt::Display for InvalidShadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(got) = self;
        write!(f, "capacity must be 1 to 65536 keys, got {got}")
    }
}

impl std::error::Error for InvalidShadow {}

impl<P> Shadow<P> {
    /// A shadow of `policy`, which admits every request.
    pub fn new(policy: P) -> Self {
        Self {
            policy,
            key: (),
            counts: Arc::default(),
        }
    }
}

impl<P, K> Shadow<P, K> {
    /// Counts rejections by the [label](Key::label) of this key, for up to `capacity` keys.
    ///
    /// Usually the key of the policy. Keys are counted in order of their first rejection; when the
    /// table is full, further keys are counted together. A rejection takes a short lock.
    ///
    /// ```
    /// use plimsoll_core::{Authority, Shadow};
    /// # let policy = ();
    ///
    /// let shadow = Shadow::new(policy).by_key(Authority, 1_000)?;
    /// let handle = shadow.handle();
    /// // … requests …
    /// for (key, rejected) in handle.would_reject_by_key().counts {
    ///     println!("{key}: {rejected}");
    /// }
    /// # Ok::<_, plimsoll_core::InvalidShadow>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `capacity` is 0 or more than 65,536.
    pub fn by_key<L>(self, key: L, capacity: usize) -> Result<Shadow<P, L>, InvalidShadow> {
        if capacity == 0 || capacity > MAX_KEYS {
            return Err(InvalidShadow(capacity));
        }
        self.counts.count_keys(capacity);
        Ok(Shadow {
            policy: self.policy,
            key,
            counts: self.counts,
        })
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

impl<Req, P: Policy<Req>, K: Key<Req>> Policy<Req> for Shadow<P, K> {
    type Permit = Option<P::Permit>;
    crate::decides_at_once!(Req);

    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<Self::Permit, Infallible> {
        match self.policy.admit(req, now) {
            Verdict::Admit(permit) => {
                self.counts.would_admit.fetch_add(1, Relaxed);
                Verdict::Admit(Some(permit))
            }
            Verdict::Reject(rejection) => {
                let label = || label_of(&self.key, req);
                self.counts.rejected(&rejection, now, label);
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

    #[inline]
    fn answered(&self, permit: &mut Self::Permit) {
        if let Some(permit) = permit {
            self.policy.answered(permit);
        }
    }

    fn asked_to_wait(&self, permit: &Self::Permit, wait: Duration, now: Instant) {
        if let Some(permit) = permit {
            self.policy.asked_to_wait(permit, wait, now);
        }
    }
}
