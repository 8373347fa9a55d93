//! Those who wait, by level and by age.
//!
//! Core's [`Waiters`] keep them by age. Through the same entries goes a second list for each level, whose bit says
//! whether it has anybody, and a third for each criticality. So the highest and the lowest level, the oldest and the
//! newest of each, and the oldest of a criticality and of all are found in a few steps, and anybody may leave from
//! anywhere in as many.

use std::task::Waker;

use plimsoll_core::{Asked, Left, Priority, Ticket, Waiters};

/// Words of the bitmap.
const WORDS: usize = Priority::LEVELS as usize / 64;
const CRITICALITIES: usize = (Priority::LEVELS / Priority::COHORTS) as usize;

/// Waiters of [`Priority::LEVELS`] levels, each with a value.
#[derive(Debug)]
pub(crate) struct Ranked<T> {
    waiters: Waiters<Place<T>>,
    /// As many as the highest level ever seen: a queue without priorities has one.
    levels: Vec<Ends>,
    /// Of all levels of a criticality.
    criticalities: [Ends; CRITICALITIES],
    /// The levels that have anybody.
    occupied: [u64; WORDS],
}

/// A value and its places among those of the same level, and of the same criticality.
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

    /// How many wait. Those who were answered do not.
    pub(crate) fn len(&self) -> u32 {
        self.waiters.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Joins as the newest of its level.
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

    /// The lowest level that has anybody.
    pub(crate) fn lowest(&self) -> Option<u16> {
        let word = self.occupied.iter().position(|word| *word != 0)?;
        Some(word as u16 * 64 + self.occupied[word].trailing_zeros() as u16)
    }

    /// The highest level that has anybody.
    pub(crate) fn highest(&self) -> Option<u16> {
        let word = self.occupied.iter().rposition(|word| *word != 0)?;
        Some(word as u16 * 64 + 63 - self.occupied[word].leading_zeros() as u16)
    }

    /// Who came first to this level, of those who wait there.
    pub(crate) fn oldest_of(&self, level: u16) -> Option<Ticket> {
        self.levels.get(usize::from(level))?.oldest
    }

    /// Who came first to this level's criticality, of those who wait there.
    pub(crate) fn oldest_as_critical_as(&self, level: u16) -> Option<Ticket> {
        self.criticalities.get(criticality(level))?.oldest
    }

    /// Whether nobody of another criticality than this level's, the highest, waits.
    pub(crate) fn all_as_critical_as(&self, highest: u16) -> bool {
        let lowest = self.lowest();
        lowest.is_none_or(|lowest| criticality(lowest) == criticality(highest))
    }

    /// Who came last to this level, of those who wait there.
    pub(crate) fn newest_of(&self, level: u16) -> Option<Ticket> {
        self.levels.get(usize::from(level))?.newest
    }

    /// The value of the one that has waited longest, whatever its level.
    pub(crate) fn oldest(&mut self) -> Option<&mut T> {
        self.waiters.first().map(|place| &mut place.value)
    }

    pub(crate) fn value(&mut self, ticket: Ticket) -> Option<&mut T> {
        self.waiters.value(ticket).map(|place| &mut place.value)
    }

    /// Takes one that waits out of the queue, to hear what became of it, and returns its waker.
    pub(crate) fn answer(&mut self, ticket: Ticket) -> Option<Waker> {
        let before = self.waiters.len();
        let waker = self.waiters.grant(ticket);
        if self.waiters.len() < before
            && let Some(&mut place) = self.waiters.value(ticket)
        {
            self.unlink(place);
        }
        waker
    }

    /// As [`Waiters::ask`]: it is "granted" when it was answered.
    pub(crate) fn ask(
        &mut self,
        ticket: Ticket,
        waker: &Waker,
        clone: &mut Option<Waker>,
    ) -> Asked {
        self.waiters.ask(ticket, waker, clone)
    }

    /// Gives the entry free, whatever became of it: "granted" when it was answered.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Left<Place<T>>> {
        let left = self.waiters.remove(ticket)?;
        if !left.granted {
            self.unlink(left.value);
        }
        Some(left)
    }

    /// Takes one that was here out of its lists.
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

/// Which of the four a level belongs to.
fn criticality(level: u16) -> usize {
    usize::from(level / Priority::COHORTS)
}

#[cfg(all(test, not(loom)))]
mod tests;
