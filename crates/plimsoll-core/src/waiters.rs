//! A queue in order of arrival, where leaving from the middle costs as little as leaving from the
//! front.
//!
//! A slab of entries with a doubly linked list through them. Only its owner frees an entry, so a
//! ticket stays valid as long as its owner keeps it.

use std::{mem, num::NonZeroU32, task::Waker};

/// Index of no entry.
const NONE: u32 = u32::MAX;

/// A place in [`Waiters`]. Valid until [`Waiters::remove`].
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Ticket(NonZeroU32);

impl Ticket {
    /// Stores the index plus one, so that an `Option` has the same size.
    fn new(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    fn index(self) -> u32 {
        self.0.get() - 1
    }
}

/// The queue of a policy: waiters in the order of arrival, each with a value of the policy's.
///
/// It also holds the waiters that were granted and have not been removed since.
///
/// All operations take constant time, except that [`join`](Self::join) may grow the memory. The
/// queue has no lock and no bound of its own: the policy keeps it behind a lock that it holds
/// briefly, and checks [`len`](Self::len) before it adds a waiter. Wakers are returned, so that
/// they are woken, cloned and dropped after the lock is released: that runs the caller's code.
/// ```
/// use std::task::Waker;
/// use plimsoll_core::policy::{Asked, Waiters};
///
/// let mut waiters = Waiters::new();
/// let (first, second) = (waiters.join("first"), waiters.join("second"));
/// assert!(waiters.grant_first().is_none(), "not polled yet, so it has no waker");
/// assert!(matches!(waiters.ask(first, Waker::noop(), &mut None), Asked::Granted));
/// assert!(matches!(waiters.ask(second, Waker::noop(), &mut None), Asked::WakerPlease));
/// assert!(waiters.remove(first).is_some_and(|left| left.granted));
/// ```
#[derive(Debug)]
pub struct Waiters<T = ()> {
    entries: Vec<Entry<T>>,
    head: u32,
    tail: u32,
    /// First of the free entries, which are linked through `next`.
    free: u32,
    len: u32,
}

#[derive(Debug)]
struct Entry<T> {
    prev: u32,
    next: u32,
    value: T,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Free,
    /// In the list; no waker before the first poll.
    Waiting(Option<Waker>),
    /// Out of the list: the waiter owns what it waited for.
    Granted,
}

/// The answer to a waiter's poll.
#[derive(Debug)]
pub enum Asked {
    /// The waiter was granted.
    Granted,
    /// Still queued, and the waiter's waker is stored. Contains another waker, to be dropped
    /// without the lock.
    Waiting(Option<Waker>),
    /// Still queued, and a clone of the waker is needed, made without the lock, because cloning
    /// runs the caller's code.
    WakerPlease,
}

/// What a waiter had when it was removed.
#[derive(Debug)]
pub struct Left<T> {
    /// Whether the waiter had been granted, and was no longer queued.
    pub granted: bool,
    /// The waiter's value.
    pub value: T,
    /// The waiter's waker, to be dropped without the lock.
    pub waker: Option<Waker>,
}

impl<T> Default for Waiters<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            head: NONE,
            tail: NONE,
            free: NONE,
            len: 0,
        }
    }
}

impl<T: Copy> Waiters<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many waiters are queued. Granted waiters do not count.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Returns whether no waiter is queued.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a waiter at the end.
    pub fn join(&mut self, value: T) -> Ticket {
        let entry = Entry {
            prev: self.tail,
            next: NONE,
            value,
            stage: Stage::Waiting(None),
        };
        let index = self.free;
        let index = if let Some(free) = self.entries.get_mut(index as usize) {
            self.free = free.next;
            *free = entry;
            index
        } else {
            // Memory ends long before 2^32 entries.
            self.entries.push(entry);
            self.entries.len() as u32 - 1
        };
        match self.entries.get_mut(self.tail as usize) {
            Some(tail) => tail.next = index,
            None => self.head = index,
        }
        self.tail = index;
        self.len += 1;
        Ticket::new(index)
    }

    /// Returns whether this waiter is the first in the queue.
    pub fn is_first(&self, ticket: Ticket) -> bool {
        self.head == ticket.index()
    }

    /// Returns the value of the first waiter in the queue.
    pub fn first(&mut self) -> Option<&mut T> {
        let entry = self.entries.get_mut(self.head as usize)?;
        Some(&mut entry.value)
    }

    /// Returns the value of this waiter, queued or granted.
    pub fn value(&mut self, ticket: Ticket) -> Option<&mut T> {
        let entry = self.entries.get_mut(ticket.index() as usize)?;
        Some(&mut entry.value)
    }

    /// Takes the waker of the first waiter in the queue, to wake it without a grant.
    pub fn first_waker(&mut self) -> Option<Waker> {
        match &mut self.entries.get_mut(self.head as usize)?.stage {
            Stage::Waiting(waker) => waker.take(),
            Stage::Free | Stage::Granted => None,
        }
    }

    /// Grants the first waiter in the queue, and returns its waker.
    pub fn grant_first(&mut self) -> Option<Waker> {
        self.grant(Ticket::new(self.head))
    }

    /// Grants this waiter, wherever it is in the queue, and returns its waker. Does nothing if it
    /// is not queued.
    pub fn grant(&mut self, ticket: Ticket) -> Option<Waker> {
        let index = ticket.index();
        let entry = self.entries.get_mut(index as usize)?;
        let Stage::Waiting(waker) = &mut entry.stage else {
            return None;
        };
        let waker = waker.take();
        entry.stage = Stage::Granted;
        self.unlink(index);
        waker
    }

    /// Returns whether this waiter was granted. If it was not, stores `waker`; `clone` is a clone
    /// of it, if one was already made.
    pub fn ask(&mut self, ticket: Ticket, waker: &Waker, clone: &mut Option<Waker>) -> Asked {
        let entry = self.entries.get_mut(ticket.index() as usize);
        match entry.map(|entry| &mut entry.stage) {
            Some(Stage::Waiting(kept)) => {
                if kept.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
                    Asked::Waiting(clone.take())
                } else if clone.is_some() {
                    Asked::Waiting(mem::replace(kept, clone.take()))
                } else {
                    Asked::WakerPlease
                }
            }
            // A free entry has no owner that could ask.
            Some(Stage::Granted | Stage::Free) | None => Asked::Granted,
        }
    }

    /// Frees the waiter's entry. `None` if it is already free.
    pub fn remove(&mut self, ticket: Ticket) -> Option<Left<T>> {
        let index = ticket.index();
        let entry = self.entries.get_mut(index as usize)?;
        let value = entry.value;
        let left = match mem::replace(&mut entry.stage, Stage::Free) {
            Stage::Free => return None,
            Stage::Granted => Left {
                granted: true,
                value,
                waker: None,
            },
            Stage::Waiting(waker) => {
                self.unlink(index);
                Left {
                    granted: false,
                    value,
                    waker,
                }
            }
        };
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.next = mem::replace(&mut self.free, index);
        }
        Some(left)
    }

    /// Removes a queued entry from the list.
    fn unlink(&mut self, index: u32) {
        let Some(&Entry { prev, next, .. }) = self.entries.get(index as usize) else {
            return;
        };
        match self.entries.get_mut(prev as usize) {
            Some(entry) => entry.next = next,
            None => self.head = next,
        }
        match self.entries.get_mut(next as usize) {
            Some(entry) => entry.prev = prev,
            None => self.tail = prev,
        }
        self.len -= 1;
    }

    /// Returns how many entries use memory.
    #[cfg(all(test, not(loom)))]
    fn capacity(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Join,
        Grant,
        GrantAny(prop::sample::Index),
        Remove(prop::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Join),
            2 => Just(Step::Grant),
            1 => any::<prop::sample::Index>().prop_map(Step::GrantAny),
            3 => any::<prop::sample::Index>().prop_map(Step::Remove),
        ]
    }

    fn granted<T: Copy>(waiters: &mut Waiters<T>, ticket: Ticket) -> bool {
        matches!(
            waiters.ask(ticket, Waker::noop(), &mut None),
            Asked::Granted
        )
    }

    proptest! {
        /// Compares with a plain queue and a plain list of granted waiters.
        #[test]
        fn the_queue_behaves_as_a_plain_queue_and_reuses_entries(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut waiters = Waiters::new();
            let mut queue = VecDeque::new();
            let mut owners = Vec::new();
            let (mut most, mut joined) = (0, 0);
            for step in steps {
                match step {
                    Step::Join => {
                        joined += 1;
                        queue.push_back((waiters.join(joined), joined));
                    }
                    Step::Grant => {
                        prop_assert!(waiters.grant_first().is_none(), "no waker before a poll");
                        owners.extend(queue.pop_front());
                    }
                    Step::GrantAny(which) if !queue.is_empty() => {
                        let waiter = queue.remove(which.index(queue.len())).unwrap();
                        prop_assert!(waiters.grant(waiter.0).is_none(), "no waker before a poll");
                        owners.push(waiter);
                    }
                    Step::GrantAny(which) if !owners.is_empty() => {
                        // A second grant has no effect.
                        waiters.grant(owners[which.index(owners.len())].0);
                    }
                    Step::Remove(which) if !queue.is_empty() => {
                        let (ticket, value) = queue.remove(which.index(queue.len())).unwrap();
                        let left = waiters.remove(ticket).unwrap();
                        prop_assert_eq!((left.granted, left.value), (false, value));
                    }
                    Step::Remove(which) if !owners.is_empty() => {
                        let (ticket, value) = owners.swap_remove(which.index(owners.len()));
                        let left = waiters.remove(ticket).unwrap();
                        prop_assert_eq!((left.granted, left.value), (true, value));
                    }
                    Step::GrantAny(_) | Step::Remove(_) => {}
                }
                let front = queue.front().copied();
                prop_assert_eq!(waiters.first().copied(), front.map(|(_, value)| value));
                prop_assert_eq!(waiters.is_empty(), queue.is_empty());
                most = most.max(queue.len() + owners.len());
                prop_assert_eq!(waiters.len() as usize, queue.len());
                prop_assert_eq!(waiters.capacity(), most);
                for &(ticket, value) in &queue {
                    prop_assert!(!granted(&mut waiters, ticket));
                    prop_assert_eq!(waiters.value(ticket).copied(), Some(value));
                    prop_assert_eq!(waiters.is_first(ticket), front == Some((ticket, value)));
                }
                for &(ticket, value) in &owners {
                    prop_assert!(granted(&mut waiters, ticket));
                    prop_assert_eq!(waiters.value(ticket).copied(), Some(value));
                }
            }
        }
    }

    #[test]
    fn the_waker_of_the_first_waiter_is_taken_once_and_it_stays_queued() {
        let mut waiters = Waiters::new();
        assert!(waiters.first_waker().is_none());
        let (first, second) = (waiters.join(()), waiters.join(()));
        let mut clone = Some(Waker::noop().clone());
        waiters.ask(first, Waker::noop(), &mut clone);
        assert!(waiters.first_waker().is_some());
        assert!(waiters.first_waker().is_none());
        assert!(waiters.is_first(first) && !granted(&mut waiters, first));
        waiters.remove(first);
        assert!(waiters.is_first(second));
    }

    #[test]
    fn granting_in_an_empty_queue_does_nothing() {
        let mut waiters = Waiters::new();
        assert!(waiters.grant_first().is_none());
        assert_eq!(waiters.len(), 0);
        let ticket = waiters.join(());
        assert!(!granted(&mut waiters, ticket));
    }
}
