//! Subscribers that wait for the next item.

use std::task::Waker;

/// Where a subscriber waits: the round, and its place in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    round: u64,
    index: usize,
}

/// The wakers of one round. All are woken by the next item, which begins a new round.
#[derive(Debug, Default)]
pub(crate) struct Parked {
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
