//! Several numbers that are read together without a lock and changed together.

use std::{array, sync::PoisonError};

use crate::sync::{
    AtomicU64, Mutex,
    Ordering::{Acquire, Release},
};

/// `WORDS` numbers and their last `SLOTS` versions: settings that can change while requests read
/// them.
///
/// ```
/// use plimsoll_core::policy::Live;
///
/// let bounds = Live::<2, 8>::new([10, 20]);
/// bounds.set([100, 200]);
/// assert_eq!(bounds.read(), (1, [100, 200]));
/// ```
///
/// A change writes the oldest slot and then advances the generation. A reader meets a slot that is
/// being written only if `SLOTS - 1` changes overtake it during the read; it detects that and reads
/// again. A writer that is suspended half-way blocks no reader.
#[derive(Debug)]
pub struct Live<const WORDS: usize, const SLOTS: usize> {
    generation: AtomicU64,
    slots: [[AtomicU64; WORDS]; SLOTS],
    changing: Mutex<()>,
}

impl<const WORDS: usize, const SLOTS: usize> Live<WORDS, SLOTS> {
    /// The first version.
    pub fn new(words: [u64; WORDS]) -> Self {
        Self {
            generation: AtomicU64::new(0),
            slots: array::from_fn(|_| words.map(AtomicU64::new)),
            changing: Mutex::new(()),
        }
    }

    /// Returns the generation, and the first `N` of its words.
    #[inline]
    pub fn read<const N: usize>(&self) -> (u64, [u64; N]) {
        loop {
            let generation = self.generation.load(Acquire);
            let words = self.at(generation);
            // Reading a word of a later writer synchronises with that writer, so this load sees
            // at least the generation before the writer's.
            let since = self.generation.load(Acquire).wrapping_sub(generation);
            if since < SLOTS as u64 - 1 {
                return (generation, words);
            }
        }
    }

    /// Returns the words of a generation, which must be one of the last `SLOTS`.
    #[inline]
    pub fn at<const N: usize>(&self, generation: u64) -> [u64; N] {
        let slot = &self.slots[generation as usize % SLOTS];
        array::from_fn(|word| slot[word].load(Acquire))
    }

    /// Changes all words at once.
    pub fn set(&self, words: [u64; WORDS]) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.generation.load(Acquire).wrapping_add(1);
        let slot = &self.slots[next as usize % SLOTS];
        for (to, word) in slot.iter().zip(words) {
            to.store(word, Release);
        }
        self.generation.store(next, Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_live_setting_keeps_its_last_generations() {
        let live = Live::<2, 4>::new([0, 0]);
        for value in 1..=6 {
            live.set([value, value * 10]);
        }
        assert_eq!(live.read::<2>(), (6, [6, 60]));
        assert_eq!(live.read::<1>(), (6, [6]));
        assert_eq!(live.at::<2>(3), [3, 30]);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;

    use super::*;

    /// Three changes in three slots: the writer reaches the slot that the reader may be reading.
    #[test]
    fn a_reader_never_sees_half_a_change() {
        loom::model(|| {
            let live = Arc::new(Live::<2, 3>::new([0, 0]));
            let writer = {
                let live = Arc::clone(&live);
                loom::thread::spawn(move || (1..=3).for_each(|value| live.set([value, value])))
            };
            let (generation, [first, second]) = live.read::<2>();
            assert_eq!((first, second), (generation, generation));
            writer.join().unwrap();
        });
    }
}
