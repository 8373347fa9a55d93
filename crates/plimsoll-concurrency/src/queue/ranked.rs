//! The waiters, by level and by age.
//!
//! Core's [`Waiters`] keep them by age. The same entries are linked into a second list for each
//! level, with a bit that states whether the level is occupied, and into a third list for each
//! criticality. So these take a few steps: to find the highest and the lowest level, the oldest and
//! the newest waiter of a level, and the oldest of a criticality and of all; and to remove any
//! waiter.

use std::task::Waker;

use plimsoll_core::{
    Priority,
    policy::{Asked, Left, Ticket, Waiters},
};

/// Words of the bitmap.
const WORDS: usize = Priority::LEVELS as usize / 64;
const CRITICALITIES: usize = (Priority::LEVELS / Priority::COHORTS) as usize;

/// Waiters of [`Priority::LEVELS`] levels, each with a value.
#[derive(Debug)]
pub(crate) struct Ranked<T> {
    waiters: Waiters<Place<T>>,
    /// Up to the highest level that was used: a queue without priorities has one entry.
    levels: Vec<Ends>,
    /// The ends of the list of each criticality.
    criticalities: [Ends; CRITICALITIES],
    /// The levels with waiters.
    occupied: [u64; WORDS],
}

/// A value, and its links in the lists of its level and its criticality.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<T> {
    level: u16,
    in_level: Links,
    in_criticality: Links,
    pub(crate) value: T,
}

/// The neighbours in a list.
#[derive(Debug, Clone, Copy, Default)]
struct Links {
    older: Option<Ticket>,
    newer: Option<Ticket>,
}

/// The ends of a list.
#[derive(Debug, Clone, Copy, Default)]
struct Ends {
    oldest: Option<Ticket>,
    newest: Option<Ticket>,
}

impl<T: Copy> Ranked<T> {
    pub(crate) fn new() -> Self {
        Self {
            waiters: Waiters::new(),
            levels: Vec::new(),
            criticalities: [Ends::default(); CRITICALITIES],
            occupied: [0; WORDS],
        }
    }

    /// Returns the number of waiters, without those that were answered.
    pub(crate) fn len(&self) -> u32 {
        self.waiters.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Adds the newest waiter of a level.
    pub(crate) fn join(&mut self, level: u16, value: T) -> Ticket {
        let level = level.min(Priority::LEVELS - 1);
        let index = usize::from(level);
        if index >= self.levels.len() {
            self.levels.resize(index + 1, Ends::default());
        }
        let behind = |ends: &Ends| Links {
            older: ends.newest,
            newer: None,
        };
        let in_level = behind(&self.levels[index]);
        let in_criticality = behind(&self.criticalities[criticality(level)]);
        let ticket = self.waiters.join(Place {
            level,
            in_level,
            in_criticality,
            value,
        });
        self.levels[index].newest = Some(ticket);
        match self.place(in_level.older) {
            Some(older) => older.in_level.newer = Some(ticket),
            None => self.levels[index].oldest = Some(ticket),
        }
        self.criticalities[criticality(level)].newest = Some(ticket);
        match self.place(in_criticality.older) {
            Some(older) => older.in_criticality.newer = Some(ticket),
            None => self.criticalities[criticality(level)].oldest = Some(ticket),
        }
        self.occupied[index / 64] |= 1 << (index % 64);
        ticket
    }

    /// Returns the lowest level with a waiter.
    pub(crate) fn lowest(&self) -> Option<u16> {
        let word = self.occupied.iter().position(|word| *word != 0)?;
        Some(word as u16 * 64 + self.occupied[word].trailing_zeros() as u16)
    }

    /// Returns the highest level with a waiter.
    pub(crate) fn highest(&self) -> Option<u16> {
        let word = self.occupied.iter().rposition(|word| *word != 0)?;
        Some(word as u16 * 64 + 63 - self.occupied[word].leading_zeros() as u16)
    }

    /// Returns the oldest waiter of a level.
    pub(crate) fn oldest_of(&self, level: u16) -> Option<Ticket> {
        self.levels.get(usize::from(level))?.oldest
    }

    /// Returns the oldest waiter of a level's criticality.
    pub(crate) fn oldest_of_criticality(&self, level: u16) -> Option<Ticket> {
        self.criticalities.get(criticality(level))?.oldest
    }

    /// Whether all waiters have the criticality of `highest`, the highest level with a waiter.
    pub(crate) fn all_of_criticality(&self, highest: u16) -> bool {
        let lowest = self.lowest();
        lowest.is_none_or(|lowest| criticality(lowest) == criticality(highest))
    }

    /// Returns the newest waiter of a level.
    pub(crate) fn newest_of(&self, level: u16) -> Option<Ticket> {
        self.levels.get(usize::from(level))?.newest
    }

    /// Returns the value of the oldest waiter of all levels.
    pub(crate) fn oldest(&mut self) -> Option<&mut T> {
        self.waiters.first().map(|place| &mut place.value)
    }

    pub(crate) fn value(&mut self, ticket: Ticket) -> Option<&mut T> {
        self.waiters.value(ticket).map(|place| &mut place.value)
    }

    /// Takes a waiter out of the lists, keeps its entry for its next poll, and returns its waker.
    pub(crate) fn answer(&mut self, ticket: Ticket) -> Option<Waker> {
        let before = self.waiters.len();
        let waker = self.waiters.grant(ticket);
        if self.waiters.len() < before {
            if let Some(&mut place) = self.waiters.value(ticket) {
                self.unlink(place);
            }
        }
        waker
    }

    /// As [`Waiters::ask`]; "granted" means that it was answered.
    pub(crate) fn ask(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
        clone: &mut Option<Waker>,
    ) -> Asked {
        self.waiters.ask(ticket, waker, clone)
    }

    /// Removes an entry; `granted` means that it was answered.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Left<Place<T>>> {
        let left = self.waiters.remove(ticket)?;
        if !left.granted {
            self.unlink(left.value);
        }
        Some(left)
    }

    /// Removes a waiter from the lists of its level and its criticality.
    fn unlink(&mut self, place: Place<T>) {
        let index = usize::from(place.level);
        let Links { older, newer } = place.in_level;
        match self.place(older) {
            Some(older) => older.in_level.newer = newer,
            None => self.levels[index].oldest = newer,
        }
        match self.place(newer) {
            Some(newer) => newer.in_level.older = older,
            None => self.levels[index].newest = older,
        }
        if self.levels[index].oldest.is_none() {
            self.occupied[index / 64] &= !(1 << (index % 64));
        }
        let index = criticality(place.level);
        let Links { older, newer } = place.in_criticality;
        match self.place(older) {
            Some(older) => older.in_criticality.newer = newer,
            None => self.criticalities[index].oldest = newer,
        }
        match self.place(newer) {
            Some(newer) => newer.in_criticality.older = older,
            None => self.criticalities[index].newest = older,
        }
    }

    fn place(&mut self, ticket: Option<Ticket>) -> Option<&mut Place<T>> {
        self.waiters.value(ticket?)
    }
}

/// Returns the index of a level's criticality.
fn criticality(level: u16) -> usize {
    usize::from(level / Priority::COHORTS)
}

#[cfg(all(test, not(loom)))]
mod tests;
