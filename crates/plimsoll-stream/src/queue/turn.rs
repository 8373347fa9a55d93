//! The turns of senders that wait.

use std::task::{Context, Poll, Waker, ready};

use plimsoll_core::policy::{Asked, Ticket};

use super::{
    error::SendError,
    locked::Locked,
    outcome::Sent,
    plan::{About, Plan},
    policy::QueuePolicy,
    shared::Shared,
    state::Want,
};

impl<T> Shared<T> {
    /// The timeout of a send that blocks, under the policy in force.
    pub(crate) fn timeout(&self) -> Option<std::time::Duration> {
        match self.lock_short().policy {
            QueuePolicy::Block { timeout } => timeout,
            _ => None,
        }
    }

    /// Sends the item, or waits for room under a policy that blocks.
    ///
    /// Pending forever without an item, as after it was ready.
    pub(crate) fn poll_send(
        &self,
        waiting: &mut Option<T>,
        about: &About,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
        mut clone: Option<Waker>,
    ) -> Poll<Result<Sent<T>, SendError<T>>> {
        loop {
            let (mut state, reserved) = ready!(self.granted(ticket, cx, &mut clone));
            if waiting.is_none() {
                return Poll::Pending;
            }
            let plan = state.plan(about.weight);
            if plan == Plan::Full && !reserved {
                if Self::enqueue(state, about.weight, ticket, cx, &mut clone) {
                    return Poll::Pending;
                }
                continue;
            }
            let Some(item) = waiting.take() else {
                return Poll::Pending;
            };
            if reserved {
                let sent = state.offer_reserved(item, about, about.weight);
                self.unlock(state);
                self.functions.report(&sent.lost);
                return Poll::Ready(Ok(sent));
            }
            return Poll::Ready(self.carry_out(state, plan, item, about));
        }
    }

    /// Locks the state once the waiter is granted, or at once without a waiter.
    ///
    /// Ready with whether room is reserved for it; if not, it must try again.
    #[inline]
    pub(crate) fn granted(
        &self,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
        clone: &mut Option<Waker>,
    ) -> Poll<(Locked<'_, T>, bool)> {
        loop {
            let mut state = self.lock();
            let Some(waiter) = *ticket else {
                return Poll::Ready((state, false));
            };
            match state.senders.ask(waiter, cx.waker(), clone) {
                Asked::Waiting(other) => {
                    drop(state);
                    drop(other);
                    return Poll::Pending;
                }
                Asked::WakerPlease => {
                    drop(state);
                    *clone = Some(cx.waker().clone());
                }
                Asked::Granted => {
                    *ticket = None;
                    let left = state.senders.remove(waiter);
                    let reserved = left.is_some_and(|left| left.value.reserved);
                    if reserved {
                        state.granted_senders -= 1;
                    }
                    return Poll::Ready((state, reserved));
                }
            }
        }
    }

    /// Queues a sender, if a clone of its waker was already made. If not, makes the clone without
    /// the lock, and returns `false`: there may be room meanwhile.
    pub(crate) fn enqueue(
        mut state: Locked<'_, T>,
        bytes: usize,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
        clone: &mut Option<Waker>,
    ) -> bool {
        if clone.is_none() {
            drop(state);
            *clone = Some(cx.waker().clone());
            return false;
        }
        let waiter = state.senders.join(Want {
            bytes,
            reserved: false,
        });
        *ticket = Some(waiter);
        // The clone is stored, and no other waker was.
        _ = state.senders.ask(waiter, cx.waker(), clone);
        state.note_senders();
        true
    }

    /// Removes a sender that no longer waits. Room that was reserved for it goes to the next.
    #[cold]
    pub(crate) fn leave(&self, ticket: Ticket) {
        let mut state = self.lock();
        let left = state.senders.remove(ticket);
        if let Some(left) = &left {
            if left.granted && left.value.reserved {
                state.granted_senders -= 1;
                state.unreserve(left.value.bytes);
            }
        }
        self.unlock(state);
        drop(left);
    }
}
