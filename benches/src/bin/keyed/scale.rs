//! The sizes of a run.

use std::time::Duration;

/// The sizes of a run.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// The largest number of keys.
    pub keys: usize,
    /// Rounds in which every entrant has a turn.
    pub rounds: usize,
    /// Length of a turn of threads that race each other.
    pub race: Duration,
    /// Undisturbed rounds of such races.
    pub races: usize,
    /// Keys of a flood.
    pub flood: u64,
    /// How long decisions are measured without a flood.
    pub watch: Duration,
    /// Rounds over HTTP.
    pub http: usize,
    /// Requests of one turn over HTTP.
    pub requests: usize,
    /// The smaller and the larger capacity that are flooded.
    pub flooded: [usize; 2],
}

impl Scale {
    pub const FULL: Self = Self {
        keys: 1_000_000,
        rounds: 150,
        race: Duration::from_millis(5),
        races: 25,
        flood: 10_000_000,
        watch: Duration::from_secs(1),
        http: 15,
        requests: 2000,
        flooded: [100_000, 1_000_000],
    };
    /// Enough to check that everything runs.
    pub const QUICK: Self = Self {
        keys: 20_000,
        rounds: 2,
        race: Duration::from_millis(1),
        races: 2,
        flood: 50_000,
        watch: Duration::from_millis(50),
        http: 2,
        requests: 40,
        flooded: [1000, 10_000],
    };
}
