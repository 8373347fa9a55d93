//! Subscribers that wait for the next item.

use std::{sync::PoisonError, task::Waker};

use crate::sync::{Mutex, MutexGuard};

/// Lists of subscribers that wait, each with a lock of its own.
///
/// 4: two tasks that begin to wait at the same time seldom need the same lock, and a publisher takes
/// four more (`streams`, `hub/1000`: with 1 it is slower by a quarter on two processors).
const LISTS: usize = 4;

/// All subscribers that wait. Each belongs to one list.
///
/// A publisher first makes its item visible and then empties the lists; a subscriber looks for the
/// item under the lock of its list. So one that enters a list after it was emptied sees the item.
#[derive(Debug)]
pub(crate) struct Lists([List; LISTS]);

/// On a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct List(Mutex<Parked>);

impl Lists {
    pub(crate) fn new() -> Self {
        Self(std::array::from_fn(|_| List(Mutex::new(Parked::default()))))
    }

    /// Locks the list of the subscriber with this number.
    pub(crate) fn of(&self, subscriber: usize) -> MutexGuard<'_, Parked> {
        let List(list) = &self.0[subscriber % LISTS];
        // No code of the caller runs under the lock, so it is never poisoned.
        list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all, and returns their number.
    pub(crate) fn wake(&self) -> usize {
        let mut woken = 0;
        for list in 0..LISTS {
            let wakers = self.of(list).take();
            // Outside of the lock: a waker is code of the caller.
            for waker in wakers.into_iter().flatten() {
                waker.wake();
                woken += 1;
            }
        }
        woken
    }

    /// What was delivered to all that have waited.
    pub(crate) fn delivered(&self) -> u64 {
        (0..LISTS).map(|list| self.of(list).delivered).sum()
    }
}

/// Where a subscriber waits: the round, and its place in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    round: u64,
    index: usize,
}

/// The wakers of one round. All are woken by the next item, which begins a new round.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    /// Items that these subscribers have received, counted when they wait.
    pub(crate) delivered: u64,
    round: u64,
    wakers: Vec<Option<Waker>>,
    /// Places that were left in this round.
    free: Vec<usize>,
}

impl Parked {
    /// Adds a subscriber, or changes its waker if it waits in this round. Returns its place, and a
    /// waker to be dropped outside of the lock.
    pub(crate) fn park(&mut self, place: Option<Place>, waker: Waker) -> (Place, Option<Waker>) {
        let index = match self.index(place) {
            Some(index) => index,
            None => self.free.pop().unwrap_or_else(|| {
                self.wakers.push(None);
                self.wakers.len() - 1
            }),
        };
        let before = self.wakers[index].replace(waker);
        let round = self.round;
        (Place { round, index }, before)
    }

    /// Removes a subscriber. Returns its waker, to be dropped outside of the lock.
    pub(crate) fn leave(&mut self, place: Option<Place>) -> Option<Waker> {
        let index = self.index(place)?;
        self.free.push(index);
        self.wakers[index].take()
    }

    /// Returns the place, if it is one of this round.
    fn index(&self, place: Option<Place>) -> Option<usize> {
        place
            .filter(|place| place.round == self.round)
            .map(|place| place.index)
    }

    /// Ends the round. The wakers are woken outside of the lock.
    pub(crate) fn take(&mut self) -> Vec<Option<Waker>> {
        if self.wakers.is_empty() {
            return Vec::new();
        }
        self.round += 1;
        self.free.clear();
        let next = Vec::with_capacity(self.wakers.len());
        std::mem::replace(&mut self.wakers, next)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn law_07_subscribers_that_come_and_go_use_the_same_place() {
        let mut parked = Parked::default();
        for _ in 0..3 {
            let (stays, _) = parked.park(None, Waker::noop().clone());
            for _ in 0..1_000 {
                let (place, _) = parked.park(None, Waker::noop().clone());
                assert!(parked.leave(Some(place)).is_some());
            }
            assert_eq!(parked.wakers.len(), 2);
            assert_eq!(parked.take().into_iter().flatten().count(), 1);
            assert!(parked.leave(Some(stays)).is_none(), "its round has ended");
        }
    }
}
