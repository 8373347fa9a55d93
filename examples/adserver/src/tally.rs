//! What the generator is told to do, and what it tells back: one line of JSON each.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// One load to put on a server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    /// The server.
    pub(crate) target: SocketAddr,
    /// When requests are due.
    pub(crate) schedule: Schedule,
    /// For how long.
    pub(crate) seconds: f64,
    /// When a client gives up, in milliseconds from the moment a request was due.
    pub(crate) deadline_ms: u64,
    /// Makes the same load again.
    pub(crate) seed: u64,
}

/// When requests are due.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Schedule {
    /// Open loop: whatever becomes of them, auctions arrive at this rate, at random.
    Poisson {
        /// Auctions a second.
        rate: f64,
    },
    /// Open loop: as they were recorded, `speed` times as fast.
    Trace {
        /// The recording.
        file: PathBuf,
        /// Recorded seconds that pass in one second.
        speed: f64,
    },
    /// Closed loop: so many clients, each of which waits for its answer before it asks again. It measures capacity,
    /// and can overload nothing.
    Closed {
        /// The clients.
        clients: usize,
    },
}

/// A line of the generator.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    /// What happened in the last second.
    Second(Tally),
    /// What happened in all. The load is over.
    Total(Tally),
}

/// What became of the requests that were due. Each auction counts once: as answered, degraded, refused, late, failed
/// or unsent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Seconds this tally covers.
    pub(crate) seconds: f64,
    /// Auctions that were due.
    pub(crate) offered: u64,
    /// Auctions that answered in time with the winner's ad: the goodput.
    pub(crate) answered: u64,
    /// Those of them that analytics recorded.
    pub(crate) recorded: u64,
    /// Auctions that answered in time with a house ad.
    pub(crate) degraded: u64,
    /// Auctions refused with an error status.
    pub(crate) turned_away: u64,
    /// Auctions whose client gave up.
    pub(crate) late: u64,
    /// Auctions that ended with a broken connection or an unexpected status.
    pub(crate) failed: u64,
    /// Auctions that could not be sent, because the generator was out of sockets.
    pub(crate) unsent: u64,
    /// Refusals by the policy that refused: auctions (of which some got a house ad instead), impressions, and bids.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Impressions by criticality.
    pub(crate) impressions: BTreeMap<String, Impressions>,
    /// Median latency of answered auctions in milliseconds, from the moment they were due.
    pub(crate) p50_ms: f64,
    /// The 99th percentile.
    pub(crate) p99_ms: f64,
    /// The 99.9th percentile.
    pub(crate) p999_ms: f64,
    /// How much later than due a request was sent, at worst, in milliseconds.
    pub(crate) worst_lag_ms: f64,
}

/// Impressions of one criticality.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Impressions {
    /// That were due.
    pub(crate) offered: u64,
    /// That the server took, in time.
    pub(crate) taken: u64,
}

impl Tally {
    /// Answered auctions a second.
    pub(crate) fn goodput_rps(&self) -> f64 {
        self.answered as f64 / self.seconds.max(f64::EPSILON)
    }

    /// Offered auctions a second.
    pub(crate) fn offered_rps(&self) -> f64 {
        self.offered as f64 / self.seconds.max(f64::EPSILON)
    }
}
