//! The limit as a policy of the gate.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use plimsoll_core::{
    Deadline, Kind, Outcome, Policy, Priority, Rejection,
    figures::Figures,
    policy::{Evictable, Interests, Prioritize, ReadDeadline, Verdict, WaitsOn},
};
use tokio::time::{Instant, sleep_until};

use super::{
    NAME,
    concurrency::ConcurrencyLimit,
    figures::PerKey,
    stalls::Stamp,
    state::Queued,
    wait::{ConcurrencyLimitWait, WaitEnd},
};
use crate::{
    control::sampler::Sampler,
    queue::{Answer, Waiter, misses_deadline},
};

/// A slot that a request holds. Plain data: the gate releases it.
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
        // Before a slot is taken: the user's closure may panic.
        match &self.state.settings.sampler {
            Some(sampler) if sampler.asks_for_deadline() => self.ask(sampler, req, now),
            _ => {}
        }
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
            // Polled after its end, which a gate does not do.
            return Poll::Ready(Err(self.reject(now)));
        };
        // First the queue, then the timer: both hold the waker before this returns `Pending`.
        let mut at = now;
        while !self.state.ask(ticket, cx.waker()) && at < wait.end.at {
            if self.state.reclaim(at) {
                continue; // one of the slots may be granted to this waiter
            }
            // The timer wakes for it: without new requests no other call reclaims slots.
            let end = self.state.reclaims_at().unwrap_or(wait.end.at);
            let end = end.min(wait.end.at);
            match wait.timer.as_mut().as_pin_mut() {
                Some(timer) if timer.deadline() == end => {}
                Some(timer) => timer.reset(end),
                None => wait.timer.set(Some(sleep_until(end))),
            }
            if let Some(timer) = wait.timer.as_mut().as_pin_mut() {
                if timer.poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
            at = at.max(end);
        }
        *wait.ticket = None;
        Poll::Ready(match self.state.withdraw(ticket) {
            Some(Answer::Granted) => self.granted(deadline, now),
            Some(Answer::MissesDeadline) => Err(self.past_deadline()),
            Some(Answer::Evicted) => {
                self.state.settings.evicted.add();
                Err(self.rejection(now))
            }
            Some(Answer::Overdue) => {
                self.state.settings.overdue.add();
                Err(self.rejection(now))
            }
            // The wait has ended, and no answer came up to this moment.
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
                self.state.release(now);
            }
        }
    }

    #[inline]
    fn finish(&self, permit: ConcurrencyLimitPermit, outcome: &Outcome) {
        if !self.state.holds_slot(permit.0) {
            return; // the slot was reclaimed
        }
        if self.state.samples {
            self.state.release_sampled(outcome, self.route.as_deref());
        } else {
            self.state.release_after(outcome);
        }
    }

    #[inline]
    fn revoke(&self, permit: ConcurrencyLimitPermit, _: Instant, now: Instant) {
        if self.state.holds_slot(permit.0) {
            self.state.release(now);
        }
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE
            .with_latency(self.state.samples)
            .with_body_waits(true)
    }

    #[inline]
    fn body_waits(&self, permit: &mut ConcurrencyLimitPermit, on: WaitsOn) {
        permit.0 = self.state.body_waits(permit.0, on);
    }
}

impl<D: Send + Sync, R: Send + Sync> Evictable for ConcurrencyLimit<D, R> {
    fn reset(&self) {
        match &self.route {
            // Slots and queue are shared with the other routes.
            Some(route) => route.reset(),
            None => self.state.reset(),
        }
    }

    fn settles_in(&self, _: Instant) -> Duration {
        if self.route.is_some() || self.state.is_idle() {
            return Duration::ZERO;
        }
        // An estimate, and never zero while a request is in flight.
        self.state.hold().max(Duration::from_nanos(1))
    }

    fn figures(&self) -> Option<Arc<dyn Figures>> {
        Some(Arc::new(PerKey(self.handle())))
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

    /// Measures the time that a request has until its deadline.
    #[cold]
    #[inline(never)]
    fn ask<Req>(&self, sampler: &Sampler, req: &Req, now: Instant)
    where
        D: ReadDeadline<Req>,
    {
        if let Some(deadline) = self.deadlines.deadline(req, now) {
            sampler.has_left(deadline.remaining(now));
        }
    }

    /// Queues or rejects a request that found no slot. Under overload nearly all requests end here,
    /// without taking the lock.
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
            let sampler = self.state.settings.sampler.as_ref();
            let len = sampler.map_or(len, |sampler| sampler.shed.places(len, level));
            if !self.state.is_full(len, level) {
                let deadline = self.deadlines.deadline(req, now);
                return self.enqueue((len, max_wait), level, now, deadline);
            }
            self.state.sheds(level);
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
        if misses_deadline(deadline, now, settings.service_time()) {
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

    /// Returns the level of a request that has to wait. A missing cohort is drawn at random, which
    /// spreads the equals of a criticality: part of them is served in time, instead of all of them
    /// late.
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

    /// Accepts a granted slot, or releases it if the request is too late by now.
    fn granted(
        &self,
        deadline: Option<Deadline>,
        now: Instant,
    ) -> Result<ConcurrencyLimitPermit, Rejection> {
        if misses_deadline(deadline, now, self.state.settings.service_time_at_turn()) {
            self.state.release(now);
            return Err(self.past_deadline());
        }
        Ok(ConcurrencyLimitPermit::NEW)
    }
}
