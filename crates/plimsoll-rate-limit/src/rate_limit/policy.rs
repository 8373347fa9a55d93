//! `RateLimit` as a policy.

use std::{
    convert::Infallible,
    sync::atomic::Ordering::{Acquire, Relaxed},
};

use plimsoll_core::{
    Outcome, Policy,
    policy::{Announcement, Interests, Verdict},
};
use tokio::time::Instant;

use super::{RateLimit, RateLimitPermit};
use crate::{
    RequestCost,
    cell::{Cell, Stale},
    leases::Leases,
    refunds::Ledger,
    token::{Empty, Token},
    warm_up::Warming,
    word::{MAX_NOW, Word},
};

impl<Req, const N: usize, C: RequestCost<Req>> Policy<Req> for RateLimit<N, C> {
    type Permit = RateLimitPermit<N>;
    plimsoll_core::decides_at_once!(Req);

    #[inline(always)]
    // Performance: always inlined. A call and a stored verdict add a third to the cost
    // (`instructions`, `rate-limit@accept`).
    #[allow(clippy::inline_always)]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<RateLimitPermit<N>, Infallible> {
        let now = self.settings.nanos(now);
        let cost = self.cost.cost(req);
        // Performance: the common case first, short enough to be inlined.
        let direct = self.direct.load(Relaxed);
        let taken = if direct {
            self.cell().try_take(now.min(MAX_NOW), cost)
        } else {
            Err(Stale)
        };
        let empty = match taken {
            Ok(Ok(token)) => return Verdict::Admit(RateLimitPermit(token)),
            Ok(Err(empty)) => empty,
            Err(Stale) => match self.take_slow(direct, now, cost) {
                Ok(token) => return Verdict::Admit(RateLimitPermit(token)),
                Err(empty) => empty,
            },
        };
        Verdict::Reject(self.settings.rejection(empty))
    }

    #[inline]
    fn finish(&self, permit: RateLimitPermit<N>, outcome: &Outcome) {
        if self.uses_outcome {
            // Performance: a clone, because an outcome whose address escapes is written to memory,
            // also for limits that charge nothing.
            self.settle(&permit.0, &outcome.clone());
        }
    }

    fn revoke(&self, permit: RateLimitPermit<N>, admitted: Instant, now: Instant) {
        let held = (self.settings.time(admitted), self.settings.time(now));
        self.cell().refund(permit.0, held, self.ledger());
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE.with_announce(self.settings.announces())
    }

    #[inline]
    fn announce(&self, permit: &RateLimitPermit<N>, admitted: Instant, out: &mut Announcement<'_>) {
        self.settings.announce(&permit.0, admitted, out);
    }
}

impl<const N: usize, C> RateLimit<N, C> {
    #[inline]
    pub(super) fn cell(&self) -> Cell<'_, N> {
        self.state.cell(&self.settings)
    }

    /// The log of recent refunds.
    fn ledger(&self) -> Ledger<'_, N> {
        Ledger {
            refunds: &self.state.refunds,
            owner: 0,
            leased: self.leases.as_ref().is_some_and(Leases::are_active),
        }
    }

    /// Takes from a lease, during a warm-up, or after the direct attempt failed (`direct`).
    #[inline(never)]
    fn take_slow(&self, direct: bool, now: u64, cost: u32) -> Result<Token<N>, Empty> {
        match (&self.leases, self.settings.warming.get()) {
            (Some(leases), _) => {
                if direct {
                    leases.activate();
                    self.direct.store(false, Relaxed);
                }
                leases.take(self.cell(), now, cost)
            }
            (None, None) => self.cell().take(now, cost),
            (None, Some(warming)) => self.take_warming(warming, now, cost),
        }
    }

    #[inline(never)]
    fn settle(&self, token: &Token<N>, outcome: &Outcome) {
        if let Some(back) = self.settings.refunded_of(token, outcome) {
            // The time at which it was taken is not known here. Only the part ahead of now counts.
            let held = (0, self.settings.time(outcome.ended()));
            self.cell().refund(back, held, self.ledger());
        }
        if let Some(due) = self.settings.due(outcome) {
            self.cell().charge(self.settings.time(outcome.ended()), due);
        }
    }

    #[cold]
    fn take_warming(&self, warming: &Warming, now: u64, cost: u32) -> Result<Token<N>, Empty> {
        let now = now.min(MAX_NOW);
        // A bucket's state is the time at which it is, or was, full.
        let full_at = Word(self.state.words[0].load(Acquire)).state();
        let ramp = warming.ramp_at(full_at, now);
        let taken = self.cell().take_cold(ramp.share(now), ramp.time(now), cost);
        taken.map_err(|empty| Empty {
            wait: empty.wait.map(|wait| ramp.until(now, wait)),
            ..empty
        })
    }
}
