//! The limit as the gate sees it.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use plimsoll_core::{Cell, Deadline, Kind, Outcome, Policy, ReadDeadline, Rejection, Verdict};
use tokio::time::{Instant, sleep_until};

use crate::{Concurrency, ConcurrencyWait, sampler::Sampler, state::Queued};

/// The policy's name in rejections.
const NAME: &str = "concurrency";

/// A slot, held. Plain data: the gate sees to it that it is given back.
#[derive(Debug)]
pub struct ConcurrencyPermit(());

impl<Req, D: ReadDeadline<Req>> Policy<Req> for Concurrency<D> {
    type Permit = ConcurrencyPermit;
    type Wait = ConcurrencyWait;

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<ConcurrencyPermit, ConcurrencyWait> {
        if self.state.enter() {
            return Verdict::Admit(ConcurrencyPermit(()));
        }
        self.wait(req, now)
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut ConcurrencyWait>,
        _: &mut Req,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<ConcurrencyPermit, Rejection>> {
        let mut wait = wait.project();
        let deadline = *wait.deadline;
        let Some(ticket) = *wait.ticket else {
            // Polled after its end, which no gate does.
            return Poll::Ready(Err(self.refuse()));
        };
        // First the queue, then the timer: both have the waker before this is `Pending`.
        let mut slot = self.state.ask(ticket, cx.waker());
        let end = deadline.map_or(*wait.until, |Deadline(at)| at.min(*wait.until));
        if !slot && now < end {
            if wait.timer.is_none() {
                wait.timer.set(Some(sleep_until(end)));
            }
            if let Some(timer) = wait.timer.as_mut().as_pin_mut()
                && timer.poll(cx).is_pending()
            {
                return Poll::Pending;
            }
        }
        *wait.ticket = None;
        // Its time is over, unless it was given a slot in this very moment.
        slot |= self.state.withdraw(ticket);
        Poll::Ready(if slot {
            self.granted(deadline, now)
        } else if deadline.is_some_and(|Deadline(at)| at == end) {
            Err(self.past_deadline())
        } else {
            self.state.settings.timed_out.add();
            Err(self.rejection())
        })
    }

    fn abandon(&self, wait: Pin<&mut ConcurrencyWait>, _: Instant) {
        let wait = wait.project();
        if let Some(ticket) = wait.ticket.take() {
            self.state.settings.abandoned.add();
            if self.state.withdraw(ticket) {
                self.state.leave();
            }
        }
    }

    #[inline]
    fn finish(&self, _: ConcurrencyPermit, outcome: &Outcome) {
        match &self.state.settings.sampler {
            None => self.state.leave_after(|| outcome.ran()),
            Some(sampler) => self.leave_sampled(sampler, outcome),
        }
    }

    #[inline]
    fn revoke(&self, _: ConcurrencyPermit, _: Instant, _: Instant) {
        self.state.leave();
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        self.state.settings.sampler.is_some()
    }
}

impl<D: Send + Sync> Cell for Concurrency<D> {
    fn reset(&self) {
        self.state.reset();
    }

    fn settles_in(&self, _: Instant) -> Duration {
        if self.state.is_idle() {
            return Duration::ZERO;
        }
        // A guess, and never zero while anybody is in.
        self.state.hold().max(Duration::from_nanos(1))
    }
}

impl<D> Concurrency<D> {
    /// Gives the slot back, and has the limit moved when it is time.
    fn leave_sampled(&self, sampler: &Sampler, outcome: &Outcome) {
        let (in_flight, limit) = (self.state.in_flight(), self.state.settings.limit());
        self.state.leave_after(|| outcome.ran());
        if let Some(now) = sampler.count(outcome, in_flight)
            && let Some(closed) = sampler.close(now, limit)
        {
            self.state.moved(&closed);
        }
    }

    #[cold]
    fn refuse(&self) -> Rejection {
        self.state.settings.rejected.add();
        self.rejection()
    }

    fn rejection(&self) -> Rejection {
        if let Some(sampler) = &self.state.settings.sampler {
            sampler.refused.add();
        }
        Rejection::new(NAME, self.kind).retry_after(self.state.retry_after())
    }

    #[cold]
    fn past_deadline(&self) -> Rejection {
        self.state.settings.past_deadline.add();
        if let Some(sampler) = &self.state.settings.sampler {
            sampler.refused.add();
        }
        Rejection::new(NAME, Kind::Deadline)
    }

    /// There is no slot: a place in the queue, or a refusal.
    #[cold]
    #[inline(never)]
    fn wait<Req>(&self, req: &Req, now: Instant) -> Verdict<ConcurrencyPermit, ConcurrencyWait>
    where
        D: ReadDeadline<Req>,
    {
        if let Some(sampler) = &self.state.settings.sampler {
            sampler.turned_away.add();
        }
        let Some((len, max_wait)) = self.state.settings.queue() else {
            return Verdict::Reject(self.refuse());
        };
        // In a storm nearly all requests end here, and without the lock.
        if self.state.queued() >= len {
            return Verdict::Reject(self.refuse());
        }
        let deadline = self.deadlines.deadline(req, now);
        if deadline.is_some_and(|Deadline(at)| at <= now) {
            return Verdict::Reject(self.past_deadline());
        }
        match self.state.enqueue(len) {
            Queued::Entered => Verdict::Admit(ConcurrencyPermit(())),
            Queued::Full => Verdict::Reject(self.refuse()),
            Queued::Waiting(ticket) => {
                let until = now.checked_add(max_wait).unwrap_or(now);
                Verdict::Wait(ConcurrencyWait::new(ticket, until, deadline))
            }
        }
    }

    /// The slot is here. It is of no use to a request that is late by now.
    fn granted(
        &self,
        deadline: Option<Deadline>,
        now: Instant,
    ) -> Result<ConcurrencyPermit, Rejection> {
        if deadline.is_some_and(|Deadline(at)| at <= now) {
            self.state.leave();
            return Err(self.past_deadline());
        }
        Ok(ConcurrencyPermit(()))
    }
}
