//! The policy.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use plimsoll_core::{Cell, Deadline, Kind, Outcome, Policy, ReadDeadline, Rejection, Verdict};
use tokio::time::{Instant, sleep_until};

use crate::{
    ConcurrencyHandle, ConcurrencyWait, InvalidConcurrency,
    settings::Settings,
    state::{Queued, State},
};

/// The policy's name in rejections.
const NAME: &str = "concurrency";

/// A limit on requests in flight; one more is refused, or waits its turn.
///
/// A request holds its slot until its call is over: by default at the end of the response body.
///
/// # Who comes next
///
/// A slot that becomes free belongs to whoever has waited longest, at once: a request that arrives in that moment goes
/// to the end of the queue. A caller that stops waiting leaves nothing behind; if it had just been given a slot, the next
/// in the queue gets it. A response future that is neither polled nor dropped keeps its place, and the slot it
/// was given, as any other request in flight does.
///
/// # Cost
///
/// With a free slot: a compare-and-swap to get in, and a subtraction to get out. When full and without a queue, a load. Only
/// requests that wait, and slots that go to them, take a lock, for as long as it takes to link an entry of a list. A
/// queue's memory grows as it is first used, to at most its length and the limit together, in entries of 32 bytes.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use plimsoll_concurrency::Concurrency;
/// use plimsoll_core::{Deadlines, GateLayer};
///
/// # fn main() -> Result<(), plimsoll_concurrency::InvalidConcurrency> {
/// let limit = Concurrency::new(64)?
///     .queue(128, Duration::from_millis(50))?
///     .deadlines(Deadlines::new());
/// let layer = GateLayer::new(limit);
/// # let _: GateLayer<_> = layer;
/// # Ok(())
/// # }
/// ```
pub struct Concurrency<D = ()> {
    state: Arc<State>,
    deadlines: Arc<D>,
    kind: Kind,
}

/// A slot, held. Plain data: the gate sees to it that it is given back.
#[derive(Debug)]
pub struct ConcurrencyPermit(());

impl Concurrency {
    /// Lets `limit` requests in at a time, and refuses the others at once with [`Kind::Full`].
    ///
    /// # Errors
    ///
    /// When `limit` is 0 or more than 2^30.
    pub fn new(limit: usize) -> Result<Self, InvalidConcurrency> {
        let state = State::new(Arc::new(Settings::new(limit)?));
        Ok(Self {
            state: Arc::new(state),
            deadlines: Arc::new(()),
            kind: Kind::Full,
        })
    }
}

impl<D> Concurrency<D> {
    /// Up to `len` requests wait for a slot, first come first served, none longer than `max_wait`. A request that finds
    /// the queue full, or has waited that long, is refused like one without a queue.
    ///
    /// Time is counted in whole microseconds, rounded up, and tokio's timer fires on the millisecond after.
    ///
    /// # Errors
    ///
    /// When `len` is 0 or more than 2^20, or `max_wait` less than 1 microsecond or more than 1 hour.
    ///
    /// # Panics
    ///
    /// Not here; but a request that has to wait makes a [`tokio::time::Sleep`], which panics outside of a tokio
    /// runtime with its timer enabled.
    pub fn queue(self, len: usize, max_wait: Duration) -> Result<Self, InvalidConcurrency> {
        self.state.settings.set_queue(len, max_wait)?;
        Ok(self)
    }

    /// A request that waits is refused with [`Kind::Deadline`] when its deadline comes before its turn, or has
    /// passed when it would have to wait. Requests that find a slot are not asked: put
    /// [`Deadlines`](plimsoll_core::Deadlines) in front as a policy for that.
    pub fn deadlines<E>(self, deadlines: E) -> Concurrency<E> {
        Concurrency {
            state: self.state,
            deadlines: Arc::new(deadlines),
            kind: self.kind,
        }
    }

    /// Refuses with [`Kind::OverQuota`] instead of [`Kind::Full`]: for limits per key, where it is the caller who is
    /// over, and not the server that is full.
    pub fn per_caller(self) -> Self {
        Self {
            kind: Kind::OverQuota,
            ..self
        }
    }

    /// States when a refused caller should come back.
    ///
    /// Without it the hint is an estimate of when those who are in now will have been served: the moving average of the
    /// time to the response's head (the latest of 16 samples weighing a 16th), times the requests in flight and in the
    /// queue, over the limit; 1 second before the first request ended. Where bodies take long, or nearly
    /// all requests fail fast, state it.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day.
    pub fn retry_after(self, hint: Duration) -> Result<Self, InvalidConcurrency> {
        self.state.settings.set_retry_after(Some(hint))?;
        Ok(self)
    }

    /// Another limit with slots and a queue of its own, and the same settings and counters: what is changed through one
    /// handle is changed for all.
    ///
    /// ```
    /// use plimsoll_concurrency::Concurrency;
    /// use plimsoll_core::{ClientIp, GateLayer, Keyed, Missing};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let each = Concurrency::new(4)?.per_caller();
    /// let handle = each.handle(); // of all
    /// let per_client =
    ///     Keyed::new(ClientIp::peer(), Missing::Share, 10_000, move || each.cell())?;
    /// let layer = GateLayer::new(per_client);
    /// handle.set_limit(8)?;
    /// # let _: GateLayer<_> = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cell(&self) -> Self {
        Self {
            state: Arc::new(State::new(Arc::clone(&self.state.settings))),
            deadlines: Arc::clone(&self.deadlines),
            kind: self.kind,
        }
    }

    /// Reads and changes this limit while it works, and tells its load.
    pub fn handle(&self) -> ConcurrencyHandle {
        ConcurrencyHandle::new(Arc::clone(&self.state))
    }

    #[cold]
    fn refuse(&self) -> Rejection {
        self.state.settings.rejected.add();
        self.rejection()
    }

    fn rejection(&self) -> Rejection {
        Rejection::new(NAME, self.kind).retry_after(self.state.retry_after())
    }

    #[cold]
    fn past_deadline(&self) -> Rejection {
        self.state.settings.past_deadline.add();
        Rejection::new(NAME, Kind::Deadline)
    }

    /// There is no slot: a place in the queue, or a refusal.
    fn wait<Req>(&self, req: &Req, now: Instant) -> Verdict<ConcurrencyPermit, ConcurrencyWait>
    where
        D: ReadDeadline<Req>,
    {
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

    fn abandon(&self, wait: Pin<&mut ConcurrencyWait>) {
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
        self.state.held(outcome.latency);
        self.state.leave();
    }

    #[inline]
    fn revoke(&self, _: ConcurrencyPermit) {
        self.state.leave();
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

impl<D> fmt::Debug for Concurrency<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Concurrency")
            .field("limit", &self.state.settings.limit())
            .field("in_flight", &self.state.in_flight())
            .field("queued", &self.state.queued())
            .finish_non_exhaustive()
    }
}
