//! The buckets of a histogram that are not empty, as a sorted list.

use std::cmp::Ordering;

use plimsoll_core::support::{
    buckets::Counts,
    layout::{OCTAVES, PER_OCTAVE, lowest, place},
};

/// Buckets for which a list has room before it grows: sixteen octaves, more than most gates use.
/// A snapshot takes longer with fewer (`benches --bin metrics`).
const LIKELY: usize = 16 * PER_OCTAVE;

/// The shortest duration of each bucket in nanoseconds, ascending, and its count, which is not 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filled(Vec<(u64, u64)>);

impl Filled {
    /// What several recorders have counted together.
    pub(crate) fn of<'a>(recorders: &(impl Iterator<Item = &'a dyn Counts> + Clone)) -> Self {
        let mut filled = Self::default();
        for octave in 0..OCTAVES {
            let mut sums = [0_u64; PER_OCTAVE];
            let mut is_used = false;
            for counts in recorders.clone() {
                is_used |= counts.add_to(octave, &mut sums);
            }
            if is_used {
                // Performance: allocated once (`benches --bin metrics`, a snapshot).
                let left = (OCTAVES - octave) * PER_OCTAVE;
                if filled.0.capacity() == 0 {
                    filled.0.reserve_exact(left.min(LIKELY));
                }
                let sums = sums.into_iter().enumerate();
                let starts = sums.map(|(at, sum)| (lowest(octave, at), sum));
                filled.0.extend(starts.filter(|(_, sum)| *sum > 0));
            }
        }
        filled.0.shrink_to_fit();
        filled
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// All durations.
    pub(crate) fn count(&self) -> u64 {
        self.iter()
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Appends a bucket above all others.
    pub(crate) fn push(&mut self, start: u64, count: u64) {
        if count > 0 {
            self.0.push((start, count));
        }
    }

    /// The longest duration of the bucket with the duration of this rank, of which 1 is the
    /// shortest. `None` beyond the last.
    pub(crate) fn ranked(&self, rank: u64) -> Option<u64> {
        let mut below = 0_u64;
        let holds = |(_, count): &(u64, u64)| {
            below = below.saturating_add(*count);
            below >= rank
        };
        let (start, _) = self.iter().find(holds)?;
        let (octave, at) = place(start);
        let next = at + 1;
        Some(lowest(octave + next / PER_OCTAVE, next % PER_OCTAVE) - 1)
    }

    /// Without the counts of `earlier`. Counts that are higher there give 0.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        if earlier.0.is_empty() {
            return self.clone();
        }
        let mut later = Self::default();
        let mut before = earlier.0.iter().peekable();
        for (start, count) in &self.0 {
            while before.next_if(|(other, _)| other < start).is_some() {}
            let before = before.next_if(|(other, _)| other == start);
            let before = before.map_or(0, |(_, count)| *count);
            later.push(*start, count.saturating_sub(before));
        }
        later
    }

    /// The counts of both, bucket by bucket.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        let mut both = Self::default();
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let order = match (ours.peek(), theirs.peek()) {
                (Some((a, _)), Some((b, _))) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return both,
            };
            let ours = if order.is_le() { ours.next() } else { None };
            let theirs = if order.is_ge() { theirs.next() } else { None };
            let mut parts = ours.into_iter().chain(theirs);
            if let Some((start, count)) = parts.next() {
                let more = parts.next().map_or(0, |(_, more)| *more);
                both.push(*start, count.saturating_add(more));
            }
        }
    }
}
