//! The limit as the gate sees it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use plimsoll_core::{
    Cell, Deadline, Kind, Outcome, Policy, Prioritize, Priority, ReadDeadline, Rejection, Verdict,
    WaitsOn,
};
use tokio::time::{Instant, sleep_until};

use super::{
    concurrency::ConcurrencyLimit,
    stalls::Stamp,
    state::Queued,
    wait::{ConcurrencyLimitWait, WaitEnd},
};
use crate::queue::{Answer, Waiter, is_too_late};

/// The policy's name in rejections.
const NAME: &str = "concurrency";

/// A slot, held. Plain data: the gate sees to it that it is given back.
#[derive(Debug)]
pub struct ConcurrencyLimitPermit(Stamp);

impl ConcurrencyLimitPermit {
    const NEW: Self = Self(Stamp::NONE);
}

impl<Req, D, R> Policy<Req> for ConcurrencyLimit<D, R>
where
    D: ReadDeadline<Req>,
    R: Prioritize<Req>,
{
    type Permit = ConcurrencyLimitPermit;
    type Wait = ConcurrencyLimitWait;

    #[inline]
    fn admit(
        &self,
        req: &mut Req,
        now: Instant,
    ) -> Verdict<ConcurrencyLimitPermit, ConcurrencyLimitWait> {
        if self.state.enter() {
            return Verdict::Admit(ConcurrencyLimitPermit::NEW);
        }
        self.wait(req, now)
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut ConcurrencyLimitWait>,
        _: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ConcurrencyLimitPermit, Rejection>> {
        let mut wait = wait.project();
        let deadline = *wait.deadline;
        let Some(ticket) = *wait.ticket else {
            // Polled after its end, which no gate does.
            return Poll::Ready(Err(self.reject(now)));
        };
        // First the queue, then the timer: both have the waker before this is `Pending`.
        let mut at = now;
        while !self.state.ask(ticket, cx.waker()) && at < wait.end.at {
            if self.state.reclaim(at) {
                continue; // perhaps one of the slots is this one's
            }
            // Wake up for it: without new requests there is no other call that reclaims slots.
            let end = self.state.reclaims_at().unwrap_or(wait.end.at);
            let end = end.min(wait.end.at);
            match wait.timer.as_mut().as_pin_mut() {
                Some(timer) if timer.deadline() == end => {}
                Some(timer) => timer.reset(end),
                None => wait.timer.set(Some(sleep_until(end))),
            }
            if let Some(timer) = wait.timer.as_mut().as_pin_mut()
                && timer.poll(cx).is_pending()
            {
                return Poll::Pending;
            }
            at = at.max(end);
        }
        *wait.ticket = None;
        Poll::Ready(match self.state.withdraw(ticket) {
            Some(Answer::Granted) => self.granted(deadline, now),
            Some(Answer::TooLate) => Err(self.past_deadline()),
            Some(Answer::PushedOut) => {
                self.state.settings.pushed_out.add();
                Err(self.rejection(now))
            }
            Some(Answer::Overdue) => {
                self.state.settings.overdue.add();
                Err(self.rejection(now))
            }
            // Its time is over, and it was not answered even in this very moment.
            None if wait.end.is_late => Err(self.past_deadline()),
            None => {
                self.state.settings.timed_out.add();
                Err(self.rejection(now))
            }
        })
    }

    fn abandon(&self, wait: Pin<&mut ConcurrencyLimitWait>, now: Instant) {
        let wait = wait.project();
        if let Some(ticket) = wait.ticket.take() {
            self.state.settings.abandoned.add();
            if self.state.withdraw(ticket) == Some(Answer::Granted) {
                self.state.leave(now);
            }
        }
    }

    #[inline]
    fn finish(&self, permit: ConcurrencyLimitPermit, outcome: &Outcome) {
        if !self.state.holds_slot(permit.0) {
            return; // others have it
        }
        if self.state.samples {
            self.state.leave_sampled(outcome, self.route.as_deref());
        } else {
            self.state.leave_after(outcome);
        }
    }

    #[inline]
    fn revoke(&self, permit: ConcurrencyLimitPermit, _: Instant, now: Instant) {
        if self.state.holds_slot(permit.0) {
            self.state.leave(now);
        }
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        self.state.samples
    }

    #[inline]
    fn announces(&self) -> bool {
        false
    }

    #[inline]
    fn watches_bodies(&self) -> bool {
        true
    }

    #[inline]
    fn body_waits(&self, permit: &mut ConcurrencyLimitPermit, on: WaitsOn) {
        permit.0 = self.state.body_waits(permit.0, on);
    }
}

impl<D: Send + Sync, R: Send + Sync> Cell for ConcurrencyLimit<D, R> {
    fn reset(&self) {
        match &self.route {
            // Slots and queue are those of the others, too.
            Some(route) => route.reset(),
            None => self.state.reset(),
        }
    }

    fn settles_in(&self, _: Instant) -> Duration {
        if self.route.is_some() || self.state.is_idle() {
            return Duration::ZERO;
        }
        // A guess, and never zero while anybody is in.
        self.state.hold().max(Duration::from_nanos(1))
    }
}

impl<D, R> ConcurrencyLimit<D, R> {
    #[inline]
    fn reject(&self, now: Instant) -> Rejection {
        self.state.settings.rejected.add();
        self.rejection(now)
    }

    fn rejection(&self, now: Instant) -> Rejection {
        Rejection::new(NAME, self.kind)
            .with_estimated_retry_after(self.state.retry_after(Some(now)))
    }

    #[cold]
    fn past_deadline(&self) -> Rejection {
        self.state.settings.past_deadline.add();
        Rejection::new(NAME, Kind::Deadline)
    }

    /// There is no slot: a place in the queue, or a refusal. In a storm nearly all requests end here, and without the lock.
    #[cold]
    #[inline(never)]
    fn wait<Req>(
        &self,
        req: &Req,
        now: Instant,
    ) -> Verdict<ConcurrencyLimitPermit, ConcurrencyLimitWait>
    where
        D: ReadDeadline<Req>,
        R: Prioritize<Req>,
    {
        if self.state.reclaim(now) && self.state.enter() {
            return Verdict::Admit(ConcurrencyLimitPermit::NEW);
        }
        if let Some(sampler) = &self.state.settings.sampler {
            let state = &self.state;
            sampler.found_no_slot(now, state.settings.limit(), || state.settings.rejected());
        }
        if let Some((len, max_wait)) = self.state.settings.queue() {
            let level = self.level(req);
            if !self.state.is_full(len, level) {
                let deadline = self.deadlines.deadline(req, now);
                return self.enqueue((len, max_wait), level, now, deadline);
            }
        }
        Verdict::Reject(self.reject(now))
    }

    #[inline(never)]
    fn enqueue(
        &self,
        (len, max_wait): (u32, Duration),
        level: u16,
        now: Instant,
        deadline: Option<Deadline>,
    ) -> Verdict<ConcurrencyLimitPermit, ConcurrencyLimitWait> {
        let settings = &self.state.settings;
        if let (Some(sampler), Some(deadline)) = (&settings.sampler, deadline) {
            sampler.has_left(deadline.remaining(now));
        }
        if is_too_late(deadline, now, settings.service_time()) {
            return Verdict::Reject(self.past_deadline());
        }
        let longest = now.checked_add(max_wait).unwrap_or(now);
        let end = WaitEnd::new(longest, deadline, settings.service_time_at_turn());
        let waiter = Waiter::new(now, deadline).until(end.at);
        match self.state.enqueue(len, level, waiter) {
            Queued::Entered => Verdict::Admit(ConcurrencyLimitPermit::NEW),
            Queued::Full => Verdict::Reject(self.reject(now)),
            Queued::Waiting(ticket) => {
                Verdict::Wait(ConcurrencyLimitWait::new(ticket, end, deadline))
            }
        }
    }

    /// The level of a request that has to wait, its cohort drawn when it has none: so the equals of a criticality are
    /// spread, and a part of them is served in time rather than all of them late.
    fn level<Req>(&self, req: &Req) -> u16
    where
        R: Prioritize<Req>,
    {
        let priority = self.priorities.priority(req);
        match priority.cohort() {
            Some(_) => priority.level(),
            None => priority.level() + fastrand::u16(..Priority::COHORTS),
        }
    }

    /// The slot is here. It is of no use to a request that is late by now.
    fn granted(
        &self,
        deadline: Option<Deadline>,
        now: Instant,
    ) -> Result<ConcurrencyLimitPermit, Rejection> {
        if is_too_late(deadline, now, self.state.settings.service_time_at_turn()) {
            self.state.leave(now);
            return Err(self.past_deadline());
        }
        Ok(ConcurrencyLimitPermit::NEW)
    }
}
