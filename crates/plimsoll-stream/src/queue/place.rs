//! The place of a receiver that waits.

use std::task::{Context, Poll, Waker, ready};

use plimsoll_core::policy::{Asked, Ticket};
use tokio::task::coop;

use super::{shared::Shared, state::State};

/// A place among the receivers of a queue, held by a future or a stream.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<Ticket>);

impl<T> Shared<T> {
    /// Takes the oldest item, or waits for the next. Ready with `None` at the end.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn poll_item(&self, place: &mut Place, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if place.0.is_none() && !self.must_ask() {
            if let Ok(item) = self.take_short() {
                return Poll::Ready(Some(item));
            }
        }
        self.poll_item_or_wait(place, cx)
    }

    /// Asks for the budget of the task, and takes an item or waits.
    #[inline(never)]
    fn poll_item_or_wait(&self, place: &mut Place, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if place.0.is_none() {
            let budget = ready!(coop::poll_proceed(cx));
            if let Ok(item) = self.take_short() {
                self.has_asked();
                budget.made_progress();
                return Poll::Ready(Some(item));
            }
        }
        self.poll_take(place, cx, State::take_item)
    }

    /// Takes up to `limit` of the oldest items, or waits for the next. Ready with how many, or with
    /// `None` at the end.
    pub(crate) fn poll_many(
        &self,
        place: &mut Place,
        cx: &mut Context<'_>,
        into: &mut Vec<T>,
        limit: usize,
    ) -> Poll<Option<usize>> {
        if place.0.is_none() && self.batch.is_active() {
            let budget = ready!(coop::poll_proceed(cx));
            if let Ok(taken) = self.take_many_from_batch(into, limit) {
                self.has_asked();
                budget.made_progress();
                return Poll::Ready(Some(taken));
            }
        }
        self.poll_take(place, cx, |state| {
            let taken = state.take_many(into, limit);
            (taken > 0).then_some(taken)
        })
    }

    /// Takes what `take` finds, or waits for the next item. Ready with `None` at the end.
    pub(crate) fn poll_take<R>(
        &self,
        place: &mut Place,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&mut State<T>) -> Option<R>,
    ) -> Poll<Option<R>> {
        // A receiver that never has to wait would otherwise keep other tasks from running.
        let budget = ready!(coop::poll_proceed(cx));
        self.has_asked();
        let mut clone = None;
        if place.0.is_none() {
            let mut state = self.lock_whole();
            if !state.expires() {
                let taken = take(&mut state);
                if taken.is_some() {
                    self.unlock(state);
                    budget.made_progress();
                    return Poll::Ready(taken);
                }
                drop(state);
                clone = Some(cx.waker().clone());
            }
        }
        let taken = self.poll_take_or_wait(place, cx, clone, take);
        if taken.is_ready() {
            budget.made_progress();
        }
        taken
    }

    #[inline(never)]
    fn poll_take_or_wait<R>(
        &self,
        place: &mut Place,
        cx: &mut Context<'_>,
        mut clone: Option<Waker>,
        mut take: impl FnMut(&mut State<T>) -> Option<R>,
    ) -> Poll<Option<R>> {
        loop {
            let mut state = self.lock_whole();
            if let Some(ticket) = place.0 {
                match state.receivers.ask(ticket, cx.waker(), &mut clone) {
                    Asked::Waiting(other) => {
                        drop(state);
                        drop(other);
                        return Poll::Pending;
                    }
                    Asked::WakerPlease => {
                        drop(state);
                        clone = Some(cx.waker().clone());
                        continue;
                    }
                    Asked::Granted => {
                        place.0 = None;
                        state.receivers.remove(ticket);
                        state.granted_receivers -= 1;
                    }
                }
            }
            let (taken, done) = self.take_unexpired(state, |state| {
                let taken = take(state);
                let done = taken.is_some() || state.has_ended();
                if !done && clone.is_some() {
                    let ticket = state.receivers.join(());
                    place.0 = Some(ticket);
                    // The clone is stored, and no other waker was.
                    _ = state.receivers.ask(ticket, cx.waker(), &mut clone);
                }
                (taken, done)
            });
            if done {
                return Poll::Ready(taken);
            }
            if place.0.is_some() {
                return Poll::Pending;
            }
            // Without the lock, because cloning runs the caller's code.
            clone = Some(Waker::clone(cx.waker()));
        }
    }

    /// Releases a place. If an item was on its way to it, another receiver is woken.
    #[inline]
    pub(crate) fn release(&self, place: &mut Place) {
        if let Some(ticket) = place.0.take() {
            self.release_ticket(ticket);
        }
    }

    #[cold]
    fn release_ticket(&self, ticket: Ticket) {
        let mut state = self.lock();
        let left = state.receivers.remove(ticket);
        if left.as_ref().is_some_and(|left| left.granted) {
            state.granted_receivers -= 1;
        }
        self.unlock(state);
        drop(left);
    }
}
