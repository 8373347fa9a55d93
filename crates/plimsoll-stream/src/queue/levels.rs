//! The queued items by priority.

use std::collections::{BTreeMap, VecDeque};

/// Positions of queued items by level, for the eviction of the least important.
///
/// There are at most 512 levels, so the tree has a constant depth.
#[derive(Debug, Default)]
pub(crate) struct Levels(BTreeMap<usize, Level>);

#[derive(Debug, Default)]
struct Level {
    /// Oldest first.
    positions: VecDeque<u64>,
    bytes: usize,
}

impl Levels {
    /// Adds an item: most often the newest, and one in the middle when it replaced another.
    pub(crate) fn add(&mut self, level: usize, position: u64, bytes: usize) {
        let level = self.0.entry(level).or_default();
        level.bytes += bytes;
        match level.positions.back() {
            Some(last) if *last > position => {
                let at = level.positions.partition_point(|other| *other < position);
                level.positions.insert(at, position);
            }
            _ => level.positions.push_back(position),
        }
    }

    /// Removes an item: in constant time the oldest or the newest of its level.
    pub(crate) fn remove(&mut self, number: usize, position: u64, bytes: usize) {
        let Some(level) = self.0.get_mut(&number) else {
            return;
        };
        level.bytes -= bytes;
        if level.positions.front() == Some(&position) {
            level.positions.pop_front();
        } else if level.positions.back() == Some(&position) {
            level.positions.pop_back();
        } else if let Ok(at) = level.positions.binary_search(&position) {
            level.positions.remove(at);
        }
        if level.positions.is_empty() {
            self.0.remove(&number);
        }
    }

    /// The newest item of the lowest level.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.0.first_key_value()?.1.positions.back().copied()
    }

    /// Number and bytes of the items below `level`.
    pub(crate) fn below(&self, level: usize) -> (usize, usize) {
        let lower = self.0.range(..level);
        lower.fold((0, 0), |(items, bytes), (_, level)| {
            (items + level.positions.len(), bytes + level.bytes)
        })
    }

    /// Changes all positions to those after a compaction.
    pub(crate) fn renumber(&mut self, new: impl Fn(u64) -> u64) {
        let positions = self.0.values_mut().flat_map(|level| &mut level.positions);
        positions.for_each(|position| *position = new(*position));
    }
}
