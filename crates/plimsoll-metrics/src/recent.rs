//! Quantiles of the last one to two minutes, without a clock or a lock on the path of a request.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::latency::Latencies;

/// Shortest time that the quantiles cover.
///
/// They cover at most twice as much when the registry is scraped at least this often.
const WINDOW: Duration = Duration::from_secs(60);

/// Two earlier snapshots, taken while scraping. Durations recorded since the older one are recent.
///
/// Windows advance by time and not by scrape, so two scrapers do not shorten each other's windows.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Windows>);

#[derive(Debug, Default)]
struct Windows {
    older: Option<Latencies>,
    newer: Option<(Instant, Latencies)>,
}

impl Recent {
    /// The durations of the last one to two minutes, from `all` durations recorded by `now`.
    pub(crate) fn of(&self, all: &Latencies, now: Instant) -> Latencies {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &windows.newer {
            Some((taken, _)) if now.saturating_duration_since(*taken) < WINDOW => {}
            _ => {
                let turned = windows.newer.replace((now, all.clone()));
                windows.older = turned.map(|(_, snapshot)| snapshot);
            }
        }
        match &windows.older {
            Some(older) => all.since(older),
            None => all.clone(),
        }
    }
}
