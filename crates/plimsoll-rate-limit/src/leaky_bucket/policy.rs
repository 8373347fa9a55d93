//! `LeakyBucket` as a policy.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use plimsoll_core::{
    Deadline, Kind, Outcome, Policy, Rejection,
    figures::Figures,
    policy::{Evictable, Interests, ReadDeadline, Verdict},
};
use tokio::time::{Instant, sleep_until};

use super::{
    bucket::LeakyBucket,
    figures::PerKey,
    state::{Bounds, Departure, Joined, Turn, clamped},
    wait::LeakyBucketWait,
};
use crate::RequestCost;

/// A departure of a leaky bucket. Plain data.
#[derive(Debug, Clone, Copy)]
pub struct LeakyBucketPermit(Option<Departure>);

impl<Req, C: RequestCost<Req>, D: ReadDeadline<Req>> Policy<Req> for LeakyBucket<C, D> {
    type Permit = LeakyBucketPermit;
    type Wait = LeakyBucketWait;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<LeakyBucketPermit, LeakyBucketWait> {
        let units = self.cost.cost(req);
        if units == 0 {
            return Verdict::Admit(LeakyBucketPermit(None));
        }
        match self.state.enter(units, self.nanos(now)) {
            Some(departure) => Verdict::Admit(LeakyBucketPermit(Some(departure))),
            None => self.wait(req, units, now),
        }
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut LeakyBucketWait>,
        _: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<LeakyBucketPermit, Rejection>> {
        let mut wait = wait.project();
        let Some(ticket) = *wait.ticket else {
            // Polled after its end, which the gate never does.
            return Poll::Ready(Err(self.rejection(None)));
        };
        let called = self.nanos(now);
        let mut at = called;
        loop {
            self.state.advance(at);
            let late = wait.deadline.is_some_and(|deadline| deadline <= at);
            let turn = match self.state.ask(ticket, cx.waker()) {
                Turn::Now(departure) => {
                    *wait.ticket = None;
                    return Poll::Ready(if late {
                        self.state.revoke(departure, at);
                        Err(self.past_deadline())
                    } else {
                        Ok(LeakyBucketPermit(Some(departure)))
                    });
                }
                Turn::Next(next) => Some(next),
                // Later than expected, after a change of the rate: it is woken when it is the first
                // in the queue.
                Turn::Later => Some(*wait.turn).filter(|turn| *turn > at),
            };
            if late {
                *wait.ticket = None;
                if let Some(departure) = self.state.withdraw(ticket) {
                    self.state.revoke(departure, at);
                }
                return Poll::Ready(Err(self.past_deadline()));
            }
            let Some(until) = [turn, *wait.deadline].into_iter().flatten().min() else {
                return Poll::Pending;
            };
            let until_instant = now + Duration::from_nanos(until.saturating_sub(called));
            match wait.timer.as_mut().as_pin_mut() {
                None => wait.timer.set(Some(sleep_until(until_instant))),
                Some(timer) if timer.deadline() != until_instant => timer.reset(until_instant),
                Some(_) => {}
            }
            if let Some(timer) = wait.timer.as_mut().as_pin_mut() {
                if timer.poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            // That time has come while this ran.
            at = at.max(until);
        }
    }

    fn abandon(&self, wait: Pin<&mut LeakyBucketWait>, now: Instant) {
        let wait = wait.project();
        if let Some(ticket) = wait.ticket.take() {
            self.state.settings.abandoned.add();
            if let Some(departure) = self.state.withdraw(ticket) {
                self.state.revoke(departure, self.nanos(now));
            }
        }
    }

    #[inline]
    fn finish(&self, _: LeakyBucketPermit, _: &Outcome) {}

    fn revoke(&self, permit: LeakyBucketPermit, _: Instant, now: Instant) {
        if let Some(departure) = permit.0 {
            self.state.revoke(departure, self.nanos(now));
        }
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE
    }
}

impl<C: Send + Sync, D: Send + Sync> Evictable for LeakyBucket<C, D> {
    fn reset(&self) {
        self.state.reset();
    }

    fn settles_in(&self, now: Instant) -> Duration {
        self.turn_in(now)
    }

    fn figures(&self) -> Option<Arc<dyn Figures>> {
        Some(Arc::new(PerKey(self.handle())))
    }
}

impl<C, D> LeakyBucket<C, D> {
    #[inline]
    pub(super) fn nanos(&self, now: Instant) -> u64 {
        clamped(self.state.settings.epoch.nanos(now))
    }

    #[cold]
    fn rejection(&self, wait: Option<u64>) -> Rejection {
        self.state.settings.rejected.add();
        let rejection = Rejection::new(LeakyBucket::NAME, Kind::OverQuota);
        match wait {
            Some(nanos) => rejection.with_retry_after(Duration::from_nanos(nanos)),
            None => rejection,
        }
    }

    #[cold]
    fn past_deadline(&self) -> Rejection {
        self.state.settings.past_deadline.add();
        Rejection::new(LeakyBucket::NAME, Kind::Deadline)
    }

    /// Queues or rejects a request that cannot depart at once.
    #[cold]
    #[inline(never)]
    fn wait<Req>(
        &self,
        req: &Req,
        units: u32,
        now: Instant,
    ) -> Verdict<LeakyBucketPermit, LeakyBucketWait>
    where
        D: ReadDeadline<Req>,
    {
        let settings = &self.state.settings;
        if units > settings.rate().0 {
            return Verdict::Reject(self.rejection(None));
        }
        let at = self.nanos(now);
        let mut bounds = Bounds {
            max_waiting: settings.max_waiting(),
            max_wait: settings.max_wait(),
            deadline: None,
        };
        // Performance: in an overload nearly all requests end here, without the lock.
        if let Some(wait) = self.state.wait_for_room(bounds, at) {
            return Verdict::Reject(self.rejection(Some(wait)));
        }
        let deadline = self.deadlines.deadline(req, now);
        bounds.deadline = deadline.map(|Deadline(at)| self.nanos(at));
        match self.state.join(units, bounds, at) {
            Joined::Departed(departure) => Verdict::Admit(LeakyBucketPermit(Some(departure))),
            Joined::NoRoom(wait) => Verdict::Reject(self.rejection(Some(wait))),
            Joined::PastDeadline => Verdict::Reject(self.past_deadline()),
            Joined::Waiting { ticket, turn } => Verdict::Wait(LeakyBucketWait {
                ticket: Some(ticket),
                turn,
                deadline: bounds.deadline,
                timer: None,
            }),
        }
    }
}
