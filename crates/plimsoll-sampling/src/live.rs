//! A few numbers that belong together, read without a lock and changed as one.

use std::{
    array,
    sync::{
        PoisonError,
        atomic::Ordering::{Acquire, Release},
    },
};

use crate::sync::{AtomicU64, Mutex};

/// `WORDS` numbers, and the last `SLOTS` versions of them.
///
/// A change writes the oldest slot and then moves the generation on to it. So a reader never meets a slot that is
/// being written, unless `SLOTS - 1` changes overtake it while it reads; it notices, and reads again. Nobody
/// waits for a writer that was put to sleep half-way.
#[derive(Debug)]
pub(crate) struct Live<const WORDS: usize, const SLOTS: usize> {
    generation: AtomicU64,
    slots: [[AtomicU64; WORDS]; SLOTS],
    changing: Mutex<()>,
}

impl<const WORDS: usize, const SLOTS: usize> Live<WORDS, SLOTS> {
    pub(crate) fn new(words: [u64; WORDS]) -> Self {
        Self {
            generation: AtomicU64::new(0),
            slots: array::from_fn(|_| words.map(AtomicU64::new)),
            changing: Mutex::new(()),
        }
    }

    /// The words of one change.
    #[inline]
    pub(crate) fn read(&self) -> [u64; WORDS] {
        loop {
            let generation = self.generation.load(Acquire);
            let slot = &self.slots[generation as usize % SLOTS];
            let words = array::from_fn(|word| slot[word].load(Acquire));
            // A word of a later writer synchronises with it, and so shows how far the generation had come by then.
            let since = self.generation.load(Acquire).wrapping_sub(generation);
            if since < SLOTS as u64 - 1 {
                return words;
            }
        }
    }

    /// Changes all words at once.
    pub(crate) fn set(&self, words: [u64; WORDS]) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.generation.load(Acquire).wrapping_add(1);
        let slot = &self.slots[next as usize % SLOTS];
        for (to, word) in slot.iter().zip(words) {
            to.store(word, Release);
        }
        self.generation.store(next, Release);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;

    use super::*;

    /// Three changes in three slots: the writer comes back to the slot that the reader may be in.
    #[test]
    fn a_reader_never_sees_half_a_change() {
        loom::model(|| {
            let live = Arc::new(Live::<2, 3>::new([0, 0]));
            let writer = {
                let live = Arc::clone(&live);
                loom::thread::spawn(move || (1..=3).for_each(|value| live.set([value, value])))
            };
            let [first, second] = live.read();
            assert_eq!(first, second);
            writer.join().unwrap();
        });
    }
}
