//! Quantiles of the last minute or two, without a clock or a lock on the request's path.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::latency::Latencies;

/// Quantiles are of at least this long, and at most twice that when somebody scrapes at least as often.
const WINDOW: Duration = Duration::from_secs(60);

/// The quantiles that are exported, as label and share.
pub(crate) const QUANTILES: [(&str, f64); 3] = [("0.5", 0.5), ("0.99", 0.99), ("0.999", 0.999)];

/// Two earlier snapshots, taken while scraping. What was recorded since the older one is recent.
///
/// Windows turn by time and not by scrape, so two scrapers do not halve each other's.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Windows>);

#[derive(Debug, Default)]
struct Windows {
    older: Option<Latencies>,
    newer: Option<(Instant, Latencies)>,
}

impl Recent {
    /// The durations of the last minute or two, out of `all` that were recorded by `now`.
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
