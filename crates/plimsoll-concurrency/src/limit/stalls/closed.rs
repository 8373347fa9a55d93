//! Closed epochs: how many permits remain in each, and when it expires.

use super::stamp::EPOCH_BITS;

/// The most generations that are kept: 12. One is closed in each quarter of the longest stall and
/// expires after a whole one, so there are five, and up to as many from before a change of the
/// longest stall. While there is no room, no epoch is closed.
const MAX_GENERATIONS: usize = 12;

/// The current epoch, and the generations of those before it.
#[derive(Debug, Default)]
pub(super) struct Closed {
    epoch: u32,
    /// The oldest first.
    generations: Vec<Generation>,
}

/// Permits that waited for their caller when their epoch was closed, and have made no progress
/// since.
#[derive(Debug)]
struct Generation {
    epoch: u32,
    /// Never 0.
    remaining: u32,
    closed_at: u64,
}

impl Closed {
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn next_epoch(&self) -> u32 {
        (self.epoch + 1) % (1 << EPOCH_BITS)
    }

    pub(super) fn has_room(&self) -> bool {
        self.generations.len() < MAX_GENERATIONS
    }

    /// Closes the current epoch with this number of remaining permits.
    pub(super) fn push(&mut self, remaining: u32, now: u64) {
        if remaining > 0 {
            self.generations.push(Generation {
                epoch: self.epoch,
                remaining,
                closed_at: now,
            });
        }
        self.epoch = self.next_epoch();
    }

    /// Counts a permit of this epoch out. Returns `false` when its generation has expired.
    pub(super) fn release(&mut self, epoch: u32) -> bool {
        let mut generations = self.generations.iter();
        let Some(at) = generations.position(|generation| generation.epoch == epoch) else {
            return false;
        };
        self.generations[at].remaining -= 1;
        if self.generations[at].remaining == 0 {
            self.generations.remove(at);
        }
        true
    }

    /// Drops generations that were closed `longest` ago. Returns how many permits were in them.
    pub(super) fn expire(&mut self, now: u64, longest: u64) -> u32 {
        let mut expired = 0;
        self.generations.retain(|generation| {
            let is_over = now.saturating_sub(generation.closed_at) >= longest;
            expired += if is_over { generation.remaining } else { 0 };
            !is_over
        });
        expired
    }

    /// When the oldest generation was closed.
    pub(super) fn oldest(&self) -> Option<u64> {
        Some(self.generations.first()?.closed_at)
    }
}
