//! Scenarios: data files that describe a server, its callers, and what happens.
//!
//! `scenarios/README.md` tells what each field means.

use serde::Deserialize;

use crate::law::Law;

/// A scenario, as its file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Scenario {
    /// What it shows, in a sentence.
    pub(crate) about: String,
    /// Servers to try it on.
    pub(crate) server: Vec<Server>,
    /// How much is offered, in multiples of a server's capacity: a point for each.
    pub(crate) load: Vec<f64>,
    /// How long it lasts, in seconds; and in requests that a full server answers, whichever is longer.
    pub(crate) seconds: f64,
    #[serde(default)]
    pub(crate) requests: f64,
    /// At most this many seconds, however many requests were asked for.
    #[serde(default = "an_hour")]
    pub(crate) at_most_seconds: f64,
    /// The part of it, from its beginning, that is not counted.
    #[serde(default = "a_sixth")]
    pub(crate) warm_up: f64,
    /// Callers want their answer in this many mean service times.
    #[serde(default = "ten")]
    pub(crate) deadline: f64,
    /// Or in this many seconds.
    pub(crate) deadline_seconds: Option<f64>,
    /// What happens.
    #[serde(default)]
    pub(crate) step: Vec<Step>,
    /// Who calls. One caller of everything, unless said otherwise.
    #[serde(default)]
    pub(crate) caller: Vec<Caller>,
    /// The share that counts: of all, of one kind of callers, of tasks.
    #[serde(default)]
    pub(crate) score: Score,
    /// How arrivals are spread.
    #[serde(default)]
    pub(crate) arrivals: Arrivals,
}

/// A server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Server {
    /// Mean work of a request, in milliseconds.
    pub(crate) mean_ms: f64,
    /// How work is distributed.
    pub(crate) law: Law,
    /// Its stations, in the order in which a request visits them.
    pub(crate) stations: Vec<Station>,
    /// Requests in a second that it can answer, where the stations do not tell.
    pub(crate) capacity: Option<f64>,
}

/// A station of a server.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Station {
    /// Workers with an endless queue.
    Workers {
        /// How many.
        count: usize,
        /// The part of a request's work that is done here.
        #[serde(default = "all")]
        share: f64,
        /// How much longer each takes for each that waits.
        #[serde(default)]
        spin: f64,
    },
    /// Everybody at once, after the Universal Scalability Law.
    Crowd {
        /// Contention.
        sigma: f64,
        /// Coherency.
        kappa: f64,
    },
}

/// Something that happens.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Step {
    /// When, in seconds.
    pub(crate) at: f64,
    /// Load is this multiple of the point's from then on.
    pub(crate) load: Option<f64>,
    /// The server is this fast from then on; 0 stands still.
    pub(crate) speed: Option<f64>,
    /// The server has this part of its workers from then on.
    pub(crate) workers: Option<f64>,
}

/// A kind of callers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Caller {
    /// Its name in tables.
    pub(crate) name: String,
    /// Its part of what is offered; parts are weighed against each other.
    pub(crate) weight: f64,
    /// How important its requests are: `CRITICAL_PLUS` to `SHEDDABLE`.
    pub(crate) criticality: String,
    /// How many different callers there are of this kind.
    pub(crate) keys: usize,
    /// Calls in a task, one after the other; the task is of use if all are answered in time.
    pub(crate) calls: u32,
    /// How often it tries, the first time included.
    pub(crate) attempts: u32,
    /// It takes a try for lost after this many seconds. Until the deadline, unless said.
    pub(crate) timeout_seconds: Option<f64>,
    /// How long it waits before it tries again, doubled each time, with full jitter.
    pub(crate) backoff_seconds: f64,
    /// The work of its requests, in means of the server's.
    pub(crate) work: f64,
}

/// What a point is judged by.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Score {
    /// Answers in time over what was possible.
    #[default]
    Goodput,
    /// The part of this kind of callers' requests that was answered in time.
    Caller(String),
    /// Answers in time, of each key no more than its fair share, over what was possible so.
    Fair,
}

/// How arrivals are spread.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Arrivals {
    /// As if nobody knew of anybody.
    #[default]
    Poisson,
    /// In bursts of this many at once.
    Bursts(usize),
    /// As a file tells: the first column, in seconds or as a date and time; scaled to the load.
    Trace,
}

impl Default for Caller {
    fn default() -> Self {
        Self {
            name: "all".into(),
            weight: 1.0,
            criticality: "CRITICAL".into(),
            keys: 1,
            calls: 1,
            attempts: 1,
            timeout_seconds: None,
            backoff_seconds: 0.0,
            work: 1.0,
        }
    }
}

impl Server {
    /// Requests in a second that it can answer when nothing is in its way.
    pub(crate) fn capacity(&self) -> f64 {
        let mean = self.mean_ms / 1e3;
        let stated = self.capacity;
        let of = |station: &Station| match *station {
            Station::Workers { count, share, .. } => count as f64 / (mean * share),
            Station::Crowd { sigma, kappa } => {
                let throughput = |n: f64| n / (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0));
                let best = ((1.0 - sigma) / kappa).sqrt();
                throughput(best.floor()).max(throughput(best.ceil())) / mean
            }
        };
        let least = self.stations.iter().map(of).fold(f64::INFINITY, f64::min);
        stated.unwrap_or(least)
    }

    /// In flight when it is just full: what somebody who tunes by hand begins with.
    pub(crate) fn slots(&self) -> f64 {
        self.capacity() * self.mean_ms / 1e3
    }

    /// Its name in tables.
    pub(crate) fn name(&self) -> String {
        let size = match self.stations.as_slice() {
            [Station::Workers { count, .. }] => count.to_string(),
            [Station::Crowd { .. }] => "crowd".into(),
            _ => format!("{:.0}", self.slots()),
        };
        format!("{size} x {} ms {}", self.mean_ms, self.law.name())
    }
}

fn an_hour() -> f64 {
    3600.0
}

fn a_sixth() -> f64 {
    1.0 / 6.0
}

fn ten() -> f64 {
    10.0
}

fn all() -> f64 {
    1.0
}
