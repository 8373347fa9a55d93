//! Quantiles of the last one to two minutes, without a clock or a lock on the path of a request.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::latency::Latencies;

/// Shortest time that the quantiles cover, and half of the longest: one minute. Durations that
/// could be older are not recent (`a_gap_in_scraping_is_not_recent`).
const WINDOW: Duration = Duration::from_secs(60);

/// Two earlier snapshots, taken while scraping. Durations recorded since the older one are recent.
///
/// Windows advance by time and not by scrape, so two scrapers do not shorten each other's windows.
#[derive(Debug)]
pub(crate) struct Recent(Mutex<Windows>);

#[derive(Debug)]
struct Windows {
    older: (Instant, Latencies),
    newer: (Instant, Latencies),
}

impl Recent {
    /// Nothing was recorded before `now`.
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(Windows {
            older: (now, Latencies::default()),
            newer: (now, Latencies::default()),
        }))
    }

    /// The durations of the last one to two minutes, from `all` durations recorded by `now`. None
    /// after two minutes without a call; the next call has those since then.
    pub(crate) fn of(&self, all: &Latencies, now: Instant) -> Latencies {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(windows.newer.0) >= WINDOW {
            let turned = std::mem::replace(&mut windows.newer, (now, all.clone()));
            windows.older = turned;
        }
        if now.saturating_duration_since(windows.older.0) > 2 * WINDOW {
            windows.older = windows.newer.clone();
        }
        all.since_snapshot(&windows.older.1)
    }
}
