//! How far each connected client is, so that the lag of one that is not polled is known.
//!
//! A client that reads nothing is not polled: hyper cannot write to it. So its lag is computed from
//! its position when the figure is read, and not sampled when it is polled.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Positions that are allocated together.
const CHUNK: usize = 64;
/// Belongs to no client.
const FREE: u64 = u64::MAX;

type Chunk = [AtomicU64; CHUNK];

/// The positions of all clients of a topic: 8 bytes for each of the most that were connected at
/// once.
#[derive(Debug, Default)]
pub(crate) struct Positions(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    chunks: Vec<Arc<Chunk>>,
    free: Vec<(usize, usize)>,
}

impl Positions {
    /// Held for a few instructions, when a client comes, when it leaves, and while the list of
    /// chunks is copied for a reading.
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a client that has everything up to `seq`.
    pub(crate) fn add(this: &Arc<Self>, seq: u64) -> Position {
        let mut places = this.lock();
        let (chunk, index) = places.free.pop().unwrap_or_else(|| {
            let chunk = places.chunks.len();
            let cells = std::array::from_fn(|_| AtomicU64::new(FREE));
            places.chunks.push(Arc::new(cells));
            let rest = (1..CHUNK).rev().map(|index| (chunk, index));
            places.free.extend(rest);
            (chunk, 0)
        });
        let cells = places.chunks.get(chunk).cloned();
        drop(places);
        let position = Position {
            positions: Arc::clone(this),
            cells,
            place: (chunk, index),
        };
        position.set(seq);
        position
    }

    /// The position of the client that is furthest behind.
    pub(crate) fn lowest(&self) -> Option<u64> {
        let chunks = self.lock().chunks.clone();
        let cells = chunks.iter().flat_map(|chunk| chunk.iter());
        let lowest = cells.map(|cell| cell.load(Relaxed)).min();
        lowest.filter(|seq| *seq != FREE)
    }
}

/// The position of one client. Dropping it releases its place.
#[derive(Debug)]
pub(crate) struct Position {
    positions: Arc<Positions>,
    cells: Option<Arc<Chunk>>,
    place: (usize, usize),
}

impl Position {
    /// Sets the number of the last event that the client was sent. One relaxed store.
    pub(crate) fn set(&self, seq: u64) {
        let cells = self.cells.as_deref();
        if let Some(cell) = cells.and_then(|cells| cells.get(self.place.1)) {
            cell.store(seq, Relaxed);
        }
    }
}

impl Drop for Position {
    fn drop(&mut self) {
        self.set(FREE);
        self.positions.lock().free.push(self.place);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_position_is_of_a_client_that_is_connected() {
        let positions = Arc::new(Positions::default());
        assert_eq!(positions.lowest(), None);
        let mut clients: Vec<_> = (0..200).map(|n| Positions::add(&positions, n)).collect();
        assert_eq!(positions.lowest(), Some(0));
        drop(clients.remove(0));
        assert_eq!(positions.lowest(), Some(1));
        clients[0].set(500);
        assert_eq!(positions.lowest(), Some(2));
        drop(clients);
        assert_eq!(positions.lowest(), None);
    }

    #[test]
    fn places_are_used_again() {
        let positions = Arc::new(Positions::default());
        for n in 0..1_000 {
            drop(Positions::add(&positions, n));
        }
        assert_eq!(positions.lock().chunks.len(), 1);
        assert_eq!(positions.lock().free.len(), CHUNK);
    }
}
