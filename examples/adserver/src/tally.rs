//! The generator's commands and results: one line of JSON each.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// One load on a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    /// The server's address.
    pub(crate) target: SocketAddr,
    /// The arrivals.
    pub(crate) schedule: Schedule,
    /// Length of the load.
    pub(crate) seconds: f64,
    /// Time after which a client gives up, in milliseconds from when its request was due.
    pub(crate) deadline_ms: u64,
    /// The same seed makes the same load.
    pub(crate) seed: u64,
}

/// The arrivals of a load.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Schedule {
    /// Open loop: auctions arrive at random at this mean rate, whether or not earlier ones were
    /// answered.
    Poisson {
        /// Auctions per second.
        rate: f64,
    },
    /// Open loop: the recorded arrivals, `speed` times as fast.
    Trace {
        /// The recording.
        file: PathBuf,
        /// Recorded seconds per second.
        speed: f64,
    },
    /// Closed loop: each client waits for its response before it sends again. Measures the capacity
    /// and causes no overload.
    Closed {
        /// Number of clients.
        clients: usize,
    },
}

/// A line of the generator's output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// The results of the last second.
    Second(Tally),
    /// The results of the whole load, at its end.
    Total(Tally),
}

/// Results of the requests that were due. Each auction counts once: as answered, degraded, rejected,
/// late, failed or unsent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Seconds this tally covers.
    pub(crate) seconds: f64,
    /// Auctions that were due.
    pub(crate) offered: u64,
    /// Auctions answered in time with the winner's ad: the goodput.
    pub(crate) answered: u64,
    /// Answered auctions that analytics recorded.
    pub(crate) recorded: u64,
    /// Auctions answered in time with a house ad.
    pub(crate) degraded: u64,
    /// Auctions rejected with an error status.
    pub(crate) turned_away: u64,
    /// Auctions whose client gave up.
    pub(crate) late: u64,
    /// Auctions that ended with a broken connection or an unexpected status.
    pub(crate) failed: u64,
    /// Auctions that were not sent, because the generator had no free socket.
    pub(crate) unsent: u64,
    /// Rejections by policy, of auctions (also those answered with a house ad), impressions and bids.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Impressions by criticality.
    pub(crate) impressions: BTreeMap<String, Impressions>,
    /// Median latency of answered auctions in milliseconds, from when they were due.
    pub(crate) p50_ms: f64,
    /// The 99th percentile.
    pub(crate) p99_ms: f64,
    /// The 99.9th percentile.
    pub(crate) p999_ms: f64,
    /// Largest delay of a request behind its schedule, in milliseconds.
    pub(crate) worst_lag_ms: f64,
}

/// Impressions of one criticality.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Impressions {
    /// Impressions that were due.
    pub(crate) offered: u64,
    /// Impressions that the server accepted in time.
    pub(crate) taken: u64,
}

impl Tally {
    /// Adds the counts of another load. Percentiles do not add up, and stay.
    pub(crate) fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        for (sum, more) in [
            (&mut self.offered, other.offered),
            (&mut self.answered, other.answered),
            (&mut self.recorded, other.recorded),
            (&mut self.degraded, other.degraded),
            (&mut self.turned_away, other.turned_away),
            (&mut self.late, other.late),
            (&mut self.failed, other.failed),
            (&mut self.unsent, other.unsent),
        ] {
            *sum += more;
        }
        for (policy, count) in &other.refused {
            *self.refused.entry(policy.clone()).or_default() += count;
        }
        for (criticality, more) in &other.impressions {
            let sum = self.impressions.entry(criticality.clone()).or_default();
            sum.offered += more.offered;
            sum.taken += more.taken;
        }
        self.worst_lag_ms = self.worst_lag_ms.max(other.worst_lag_ms);
    }

    /// Returns answered auctions per second.
    pub(crate) fn goodput_rps(&self) -> f64 {
        self.answered as f64 / self.seconds.max(f64::EPSILON)
    }

    /// Returns offered auctions per second.
    pub(crate) fn offered_rps(&self) -> f64 {
        self.offered as f64 / self.seconds.max(f64::EPSILON)
    }
}
