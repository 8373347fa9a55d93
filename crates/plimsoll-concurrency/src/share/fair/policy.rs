//! Fair shares as a policy of the gate.

use std::{
    convert::Infallible,
    sync::atomic::Ordering::{Acquire, Relaxed},
    time::Duration,
};

use plimsoll_core::{
    Criticality, Kind, Outcome, Policy, Rejection,
    policy::{Evictable, Interests, Prioritize, Verdict, WaitsOn},
};
use tokio::time::Instant;

use super::{FairShare, permit::FairSharePermit};
use crate::limit::stalls::Stamp;

/// The policy's name in rejections.
pub(super) const NAME: &str = "fair-share";

impl<Req, R: Prioritize<Req>> Policy<Req> for FairShare<R> {
    type Permit = FairSharePermit;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<FairSharePermit, Infallible> {
        let of = self.priorities.priority(req).criticality();
        let in_band = self.shared.nearly_full();
        if !in_band {
            self.own(of).inside.fetch_add(1, Acquire);
        } else if !self.acquire_near_limit(of, now) {
            return Verdict::Reject(self.reject(now));
        }
        Verdict::Admit(FairSharePermit {
            of,
            in_band,
            own: Stamp::NONE,
            band: Stamp::NONE,
        })
    }

    #[inline]
    fn finish(&self, permit: FairSharePermit, _: &Outcome) {
        let band = self.shared.band(permit.of);
        if self.release(&permit) && band.height() < 1.0 {
            self.own(permit.of).left.store(band.time(), Relaxed);
        }
    }

    #[inline]
    fn revoke(&self, permit: FairSharePermit, _: Instant, _: Instant) {
        self.release(&permit);
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_body_waits(true)
    }

    #[inline]
    fn body_waits(&self, permit: &mut FairSharePermit, on: WaitsOn) {
        permit.own = self.own(permit.of).stalls.body_waits(permit.own, on);
        if permit.in_band {
            let band = self.shared.band(permit.of);
            permit.band = band.stalls.body_waits(permit.band, on);
        }
    }
}

impl<R: Send + Sync> Evictable for FairShare<R> {
    fn reset(&self) {
        for own in &self.own {
            own.rejected_in.store(0, Relaxed);
            own.left.store(0, Relaxed);
        }
    }

    fn settles_in(&self, now: Instant) -> Duration {
        if self.own.iter().any(|own| own.inside.load(Acquire) != 0) {
            // An estimate, and never zero while a request is inside.
            return Duration::from_millis(1);
        }
        let now = self.shared.nanos(now);
        let pauses = Criticality::ALL.map(|of| {
            let left = self.own(of).left.load(Relaxed);
            self.shared.band(of).pause(left, now)
        });
        Duration::from_nanos(pauses.into_iter().max().unwrap_or(0))
    }
}

impl<R> FairShare<R> {
    #[cold]
    fn reject(&self, now: Instant) -> Rejection {
        self.shared.rejections.add();
        let hint = self.shared.limit.retry_after_at(now);
        Rejection::new(NAME, Kind::OverQuota).with_estimated_retry_after(hint)
    }
}
