//! The times at which the last units were taken. Pure: `now` is passed in, in nanoseconds since one
//! epoch.

/// The times at which the last units were taken, sorted. The oldest are overwritten when it is
/// full.
#[derive(Debug)]
pub(super) struct Ring {
    stamps: Box<[u64]>,
    /// The index of the next unit: that of the oldest one when the ring is full.
    next: usize,
    len: usize,
    /// The newest time that was overwritten.
    overwritten: Option<u64>,
}

impl Ring {
    /// An empty log for `room` units.
    pub(super) fn new(room: usize) -> Self {
        Self {
            stamps: vec![0; room].into_boxed_slice(),
            next: 0,
            len: 0,
            overwritten: None,
        }
    }

    /// Units that fit.
    pub(super) fn room(&self) -> usize {
        self.stamps.len()
    }

    /// Units in the ring.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The time of the newest unit after `skip` newer ones.
    pub(super) fn newest(&self, skip: usize) -> Option<u64> {
        let oldest_first = self.len.checked_sub(skip + 1)?;
        Some(self.stamps[self.slot(oldest_first)])
    }

    /// The time from which `units` can be taken, so that no `period` contains more than `limit`. 0
    /// is at any time.
    ///
    /// At that time at most `limit - units` units may be younger than a period, so the next older
    /// one must not be. That one may have been overwritten, and units younger than it removed
    /// since; then the newest overwritten time stands for it. The overwritten time is a period old,
    /// unless this thread's clock is behind or the period was made longer.
    pub(super) fn available_at(&self, limit: usize, period: u64, units: usize) -> u64 {
        self.newest(limit - units)
            .or(self.overwritten)
            .map_or(0, |stamp| stamp.saturating_add(period))
    }

    /// Inserts units and returns their time: at least the newest, so that the ring stays sorted
    /// when threads arrive in another order than they read the clock.
    pub(super) fn push(&mut self, now: u64, units: usize) -> u64 {
        let stamp = self.newest(0).map_or(now, |newest| newest.max(now));
        for _ in 0..units {
            if self.len == self.stamps.len() {
                self.overwritten = Some(self.stamps[self.next]);
            } else {
                self.len += 1;
            }
            self.stamps[self.next] = stamp;
            self.next = self.wrapped(self.next + 1);
        }
        stamp
    }

    /// Removes units that were taken at `stamp`. Units with the same time are interchangeable;
    /// those that were overwritten are gone already.
    pub(super) fn remove(&mut self, stamp: u64, units: usize) {
        let newer = self.newer_than(stamp);
        let units = (0..units)
            .take_while(|unit| self.newest(newer + unit) == Some(stamp))
            .count();
        if units == 0 {
            return;
        }
        // Performance: usually nothing is newer, so nothing is moved.
        for at in self.len - newer..self.len {
            self.stamps[self.slot(at - units)] = self.stamps[self.slot(at)];
        }
        self.next = self.slot(self.len - units);
        self.len -= units;
    }

    /// The number of units taken after this time.
    pub(super) fn newer_than(&self, moment: u64) -> usize {
        let (mut newer, mut unknown) = (0, self.len);
        while unknown > 0 {
            let half = unknown / 2;
            if self.newest(newer + half).is_some_and(|at| at > moment) {
                newer += half + 1;
                unknown -= half + 1;
            } else {
                unknown = half;
            }
        }
        newer
    }

    /// Removes all units and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.overwritten = None;
    }

    /// The index of the unit with `oldest_first` older ones in the ring.
    fn slot(&self, oldest_first: usize) -> usize {
        let oldest = self.wrapped(self.next + self.stamps.len() - self.len);
        self.wrapped(oldest + oldest_first)
    }

    /// Wraps an index below twice the length. Performance: without a division.
    fn wrapped(&self, at: usize) -> usize {
        if at < self.stamps.len() {
            at
        } else {
            at - self.stamps.len()
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push(u64, usize),
        Remove(Index, usize),
        Clear,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            20 => (0_u64..4, 0_usize..5).prop_map(|(later, units)| Step::Push(later, units)),
            10 => (any::<Index>(), 1_usize..4).prop_map(|(which, units)| Step::Remove(which, units)),
            1 => Just(Step::Clear),
        ]
    }

    proptest! {
        /// The reference is a plain queue.
        #[test]
        fn the_ring_behaves_like_a_plain_list(room in 4_usize..12, steps in vec(step(), 0..120)) {
            let mut ring = Ring::new(room);
            let mut list = VecDeque::new();
            let mut now = 10;
            for step in steps {
                match step {
                    Step::Push(later, units) => {
                        now += later;
                        prop_assert_eq!(ring.push(now, units), now);
                        list.extend((0..units).map(|_| now));
                        while list.len() > room {
                            list.pop_front();
                        }
                    }
                    Step::Remove(which, units) if !list.is_empty() => {
                        let stamp = list[which.index(list.len())];
                        ring.remove(stamp, units);
                        for _ in 0..units {
                            if let Some(at) = list.iter().position(|at| *at == stamp) {
                                list.remove(at);
                            }
                        }
                    }
                    Step::Remove(..) => ring.remove(now, 1),
                    Step::Clear => {
                        ring.clear();
                        list.clear();
                    }
                }
                let kept: Vec<_> = (0..room + 2).map_while(|skip| ring.newest(skip)).collect();
                prop_assert_eq!(&kept, &list.iter().rev().copied().collect::<Vec<_>>());
                for moment in 9..=now {
                    let newer = list.iter().filter(|at| **at > moment).count();
                    prop_assert_eq!(ring.newer_than(moment), newer);
                }
            }
        }
    }

    #[test]
    fn a_late_thread_is_inserted_at_the_newest_time() {
        let mut ring = Ring::new(4);
        assert_eq!((ring.push(7, 1), ring.push(5, 1)), (7, 7));
    }
}
