//! How a subscriber receives.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio::task::coop;

use super::{error::Ended, lag::LagPolicy, subscription::Subscription};
use crate::{
    queue::{Delivery, DropReason, Gap},
    sync::Ordering,
};

type Step<T> = Result<Delivery<T>, Ended>;

impl<T: Clone> Subscription<T> {
    /// Receives the next item, or the gap in front of it. Waits until an item is published.
    ///
    /// # Errors
    ///
    /// [`Ended`], from then on each time.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses no item and no gap.
    pub fn recv(&mut self) -> RecvNext<'_, T> {
        RecvNext::new(self)
    }

    /// Receives the next item or gap, if there is one now.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Option<Delivery<T>>, Ended> {
        self.step().map_or(Ok(None), |step| step.map(Some))
    }

    /// Polls for the next item or gap.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Delivery<T>, Ended>> {
        self.poll_step(cx)
    }
}

/// Yields items and gaps, and ends with the subscription.
impl<T: Clone> Stream for Subscription<T> {
    type Item = Delivery<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery<T>>> {
        self.poll_step(cx).map(Result::ok)
    }
}

impl<T> Subscription<T> {
    /// Polls until there is something to receive, and receives nothing.
    ///
    /// Ready also at the end of the subscription.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended.is_some() || self.lag() > 0 || !self.coalesced.is_empty() {
            return Poll::Ready(());
        }
        self.park(cx)
    }

    /// Waits for the next item, unless it is there or the hub is closed.
    fn park(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut list = self.shared.lists.of(self.number);
        let is_closed = self.shared.is_closed();
        if self.shared.last() >= self.next {
            return Poll::Ready(());
        }
        if is_closed {
            drop(list);
            self.ended = Some(Ended::Closed);
            return Poll::Ready(());
        }
        list.delivered += std::mem::take(&mut self.delivered);
        let (place, before) = list.park(self.place, waker);
        drop(list);
        // Outside of the lock: dropping a waker runs code of the caller.
        drop(before);
        self.place = Some(place);
        Poll::Pending
    }
}

impl<T: Clone> Subscription<T> {
    /// The next item or gap, or `None` after the last one.
    fn step(&mut self) -> Option<Step<T>> {
        loop {
            if let Some(ended) = self.ended {
                return Some(Err(ended));
            }
            if !self.coalesced.is_empty() {
                return self.step_coalesced();
            }
            let last = self.shared.last();
            if self.next > last {
                return None;
            }
            let Some(slot) = self.segment.get(self.next) else {
                if self.advance() {
                    continue;
                }
                return Some(self.fall_behind());
            };
            let bounds = &self.bounds;
            let is_behind = last - self.next >= bounds.items
                || (bounds.bytes != u64::MAX
                    && self.shared.bytes() - slot.bytes_before > bounds.bytes);
            if is_behind {
                return Some(self.fall_behind());
            }
            let (seq, item) = (self.next, slot.item.clone());
            self.next += 1;
            self.delivered += 1;
            return Some(Ok(Delivery::Item { seq, item }));
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step<T>> {
        // A subscriber that never has to wait would otherwise keep other tasks from running.
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            if let Some(step) = self.step() {
                budget.made_progress();
                return Poll::Ready(step);
            }
            ready!(self.park(cx));
        }
    }

    /// Continues with the segment of the next item. Returns whether the hub still has it.
    fn advance(&mut self) -> bool {
        self.count();
        let next = self.segment.next();
        let segment = next.filter(|segment| segment.get(self.next).is_some());
        let segment = segment.or_else(|| {
            let state = self.shared.lock();
            let segment = state.log.segment(self.next);
            segment.map(Arc::clone)
        });
        match segment.filter(|segment| segment.get(self.next).is_some()) {
            Some(segment) => {
                self.segment = segment;
                true
            }
            None => false,
        }
    }

    /// Applies the policy: the subscriber is further behind than it may be, or than the hub keeps.
    fn fall_behind(&mut self) -> Step<T> {
        let now = self.shared.now();
        let state = self.shared.lock();
        let (last, from) = (state.log.last, self.next);
        match self.bounds.policy {
            LagPolicy::Disconnect => {
                drop(state);
                let lag = last + 1 - from;
                let figures = &self.shared.figures;
                figures.disconnected.fetch_add(1, Ordering::Relaxed);
                self.ended = Some(Ended::Slow { lag });
                Err(Ended::Slow { lag })
            }
            LagPolicy::Skip => {
                let mut allowed = (last + 1).saturating_sub(self.bounds.items);
                if self.bounds.bytes != u64::MAX {
                    allowed = allowed.max(state.log.within(self.bounds.bytes));
                }
                // The bounds of the hub are wider, so only its time to live is left.
                let oldest = state.log.oldest(now);
                let (to, reason) = if allowed >= oldest {
                    (allowed, DropReason::Oldest)
                } else {
                    (oldest, DropReason::Expired)
                };
                let segment = state.log.segment(to).map(Arc::clone);
                drop(state);
                if let Some(segment) = segment {
                    self.segment = segment;
                }
                Ok(self.gap(to.max(from + 1), reason))
            }
            LagPolicy::Coalesce => {
                let latest = state.latest.as_ref();
                let coalesced = latest.map(|latest| (latest.from(from), latest.evicted >= from));
                drop(state);
                let (coalesced, is_incomplete) = coalesced.unwrap_or_default();
                self.coalesced = coalesced;
                let next = self.coalesced.front().map_or(last + 1, |(seq, _)| *seq);
                if next > from {
                    let reason = if is_incomplete {
                        DropReason::Several
                    } else {
                        DropReason::Replaced
                    };
                    return Ok(self.gap(next, reason));
                }
                self.step_coalesced().unwrap_or(Err(Ended::Closed))
            }
        }
    }

    /// The next of the latest items of their keys, or the gap in front of it.
    fn step_coalesced(&mut self) -> Option<Step<T>> {
        let (seq, _) = self.coalesced.front()?;
        if *seq > self.next {
            let next = *seq;
            return Some(Ok(self.gap(next, DropReason::Replaced)));
        }
        let (seq, item) = self.coalesced.pop_front()?;
        if self.coalesced.is_empty() {
            self.coalesced.shrink_to_fit();
        }
        self.next = seq + 1;
        self.delivered += 1;
        let item = Arc::unwrap_or_clone(item);
        Some(Ok(Delivery::Item { seq, item }))
    }

    /// Skips to this number.
    fn gap(&mut self, next: u64, reason: DropReason) -> Delivery<T> {
        let gap = Gap {
            from: self.next,
            to: next - 1,
            reason,
        };
        self.next = next;
        let figures = &self.shared.figures;
        figures.gaps.fetch_add(1, Ordering::Relaxed);
        figures.missed.fetch_add(gap.count(), Ordering::Relaxed);
        Delivery::Gap(gap)
    }
}

/// The future of [`Subscription::recv`].
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct RecvNext<'a, T> {
    subscription: &'a mut Subscription<T>,
}

impl<'a, T> RecvNext<'a, T> {
    pub(super) fn new(subscription: &'a mut Subscription<T>) -> Self {
        Self { subscription }
    }
}

impl<T: Clone> Future for RecvNext<'_, T> {
    type Output = Step<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.subscription.poll_step(cx)
    }
}
