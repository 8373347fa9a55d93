//! Those who wait: first come, first served, and leaving from the middle costs no more than leaving from the front.
//!
//! A slab of entries with a doubly linked list through them. An entry is given free by its owner alone, so a ticket is
//! always good for as long as its owner keeps it.

use std::{mem, num::NonZeroU32, task::Waker};

/// No entry.
const NONE: u32 = u32::MAX;

/// A place among [`Waiters`]. Good until [`Waiters::remove`].
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Ticket(NonZeroU32);

impl Ticket {
    /// One more than the index, so that an `Option` takes no more.
    fn new(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    fn index(self) -> u32 {
        self.0.get() - 1
    }
}

/// The queue of a policy that lets requests wait: in the order of their arrival, each with a value of the policy's, and
/// those who were granted what they wait for and have not yet heard of it.
///
/// Everything but [`join`](Self::join), which may grow the memory, takes a few steps however long the queue is. It has
/// no lock of its own and no bound: the policy keeps it behind one that it holds for a few lines, and looks at
/// [`len`](Self::len) before it lets another join. Wakers are handed out, to be woken, cloned and dropped when the lock
/// is no longer held: that runs the caller's code.
///
/// ```
/// use std::task::Waker;
/// use plimsoll_core::{Asked, Waiters};
///
/// let mut waiters = Waiters::new();
/// let (first, second) = (waiters.join("first"), waiters.join("second"));
/// assert!(waiters.grant_first().is_none(), "it has left no waker yet");
/// assert!(matches!(waiters.ask(first, Waker::noop(), &mut None), Asked::Granted));
/// assert!(matches!(waiters.ask(second, Waker::noop(), &mut None), Asked::WakerPlease));
/// assert!(waiters.remove(first).is_some_and(|left| left.granted));
/// ```
#[derive(Debug)]
pub struct Waiters<T = ()> {
    entries: Vec<Entry<T>>,
    head: u32,
    tail: u32,
    /// First of the free entries, linked through `next`.
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
    /// Out of the list: what it waited for is this waiter's.
    Granted,
}

/// What a waiter hears when it asks.
#[derive(Debug)]
pub enum Asked {
    /// It is yours.
    Granted,
    /// Not yet, and the waker that is kept is yours. Here is another, to be dropped without the lock.
    Waiting(Option<Waker>),
    /// Not yet, and a clone of the waker is needed: made without the lock, because cloning runs the caller's code.
    WakerPlease,
}

/// What a waiter had when it went away.
#[derive(Debug)]
pub struct Left<T> {
    /// It had been granted what it waited for, rather than had a place in the queue.
    pub granted: bool,
    /// The value that was kept for it.
    pub value: T,
    /// To be dropped without the lock.
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
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many wait. Those who were granted what they wait for do not.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Joins at the end.
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
            // As many as memory holds: far less than 2^32 entries.
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

    /// Whether this is the first in the queue.
    pub fn is_first(&self, ticket: Ticket) -> bool {
        self.head == ticket.index()
    }

    /// The value of the first in the queue, to be read or changed.
    pub fn first(&mut self) -> Option<&mut T> {
        let entry = self.entries.get_mut(self.head as usize)?;
        Some(&mut entry.value)
    }

    /// The value of this waiter, wherever it stands and whether or not it was granted what it waits for, to be read or
    /// changed.
    pub fn value(&mut self, ticket: Ticket) -> Option<&mut T> {
        let entry = self.entries.get_mut(ticket.index() as usize)?;
        Some(&mut entry.value)
    }

    /// Takes the waker of the first in the queue, so that it is woken and asks again.
    pub fn first_waker(&mut self) -> Option<Waker> {
        match &mut self.entries.get_mut(self.head as usize)?.stage {
            Stage::Waiting(waker) => waker.take(),
            Stage::Free | Stage::Granted => None,
        }
    }

    /// Grants the first in the queue what it waits for, and returns its waker.
    pub fn grant_first(&mut self) -> Option<Waker> {
        self.grant(Ticket::new(self.head))
    }

    /// Grants this waiter what it waits for, whoever is before it, and returns its waker. Nothing, when it waits no more.
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

    /// Asks whether it is this waiter's turn, and otherwise sees to it that `waker` is the one that is kept. `clone`
    /// is a clone of it, once one was made.
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
            // A free entry has no owner who could ask.
            Some(Stage::Granted | Stage::Free) | None => Asked::Granted,
        }
    }

    /// Gives the entry free, whatever became of it. `None` when it is free already.
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

    /// Takes a waiting entry out of the list.
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

    /// Entries that take memory.
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

    fn granted(waiters: &mut Waiters, ticket: Ticket) -> bool {
        matches!(
            waiters.ask(ticket, Waker::noop(), &mut None),
            Asked::Granted
        )
    }

    proptest! {
        /// Against a plain queue and a plain list of those who were granted a slot.
        #[test]
        fn the_queue_behaves_like_a_plain_one_and_reuses_its_entries(
            steps in prop::collection::vec(step(), 0..200),
        ) {
            let mut waiters = Waiters::new();
            let mut queue = VecDeque::new();
            let mut served = Vec::new();
            let mut most = 0;
            for step in steps {
                match step {
                    Step::Join => queue.push_back(waiters.join(())),
                    Step::Grant => {
                        prop_assert!(waiters.grant_first().is_none(), "nobody asked yet");
                        served.extend(queue.pop_front());
                    }
                    Step::GrantAny(which) if !queue.is_empty() => {
                        let ticket = queue.remove(which.index(queue.len())).unwrap();
                        prop_assert!(waiters.grant(ticket).is_none(), "nobody asked yet");
                        served.push(ticket);
                    }
                    Step::GrantAny(which) if !served.is_empty() => {
                        waiters.grant(served[which.index(served.len())]); // once more: nothing
                    }
                    Step::Remove(which) if !queue.is_empty() => {
                        let ticket = queue.remove(which.index(queue.len())).unwrap();
                        prop_assert!(!waiters.remove(ticket).unwrap().granted);
                    }
                    Step::Remove(which) if !served.is_empty() => {
                        let ticket = served.swap_remove(which.index(served.len()));
                        prop_assert!(waiters.remove(ticket).unwrap().granted);
                    }
                    Step::GrantAny(_) | Step::Remove(_) => {}
                }
                if let Some(first) = queue.front() {
                    prop_assert!(waiters.is_first(*first));
                }
                most = most.max(queue.len() + served.len());
                prop_assert_eq!(waiters.len() as usize, queue.len());
                prop_assert_eq!(waiters.capacity(), most);
                for ticket in &queue {
                    prop_assert!(!granted(&mut waiters, *ticket));
                }
                for ticket in &served {
                    prop_assert!(granted(&mut waiters, *ticket));
                }
            }
        }
    }

    #[test]
    fn an_empty_queue_has_nobody_to_serve() {
        let mut waiters = Waiters::new();
        assert!(waiters.grant_first().is_none());
        assert_eq!(waiters.len(), 0);
        let ticket = waiters.join(());
        assert!(!granted(&mut waiters, ticket));
    }
}
