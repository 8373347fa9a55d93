//! Scenarios: data files that describe a server, its callers, and the changes during a run.
//!
//! `scenarios/README.md` documents each field.

use std::{path::PathBuf, sync::Arc};

use plimsoll_core::Criticality;
use serde::Deserialize;

use crate::{law::Law, trace};

/// A scenario, as in its file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Scenario {
    /// The name of the file.
    #[serde(skip)]
    pub(crate) name: String,
    /// What the scenario shows, in a sentence.
    pub(crate) about: String,
    /// The servers.
    pub(crate) server: Vec<Server>,
    /// The offered load, in multiples of a server's capacity: a point for each.
    pub(crate) load: Vec<f64>,
    /// The length of a run, in seconds; the longest of this, `requests` and `services` counts.
    #[serde(default)]
    pub(crate) seconds: f64,
    /// The length of a run, in requests that a full server answers.
    #[serde(default)]
    pub(crate) requests: f64,
    /// The length of a run, in mean service times: adapting takes some, and so does a backlog that
    /// makes answers late.
    #[serde(default = "a_hundred")]
    pub(crate) services: f64,
    /// The maximum length of a run, in requests that a full server answers.
    #[serde(default = "no_end")]
    pub(crate) at_most_requests: f64,
    /// The share of the run, from its beginning, that is not counted.
    #[serde(default = "a_sixth")]
    pub(crate) warm_up: f64,
    /// The deadline, in mean service times.
    #[serde(default = "ten")]
    pub(crate) deadline: f64,
    /// The deadline, in seconds.
    pub(crate) deadline_seconds: Option<f64>,
    /// Whether requests carry their deadline.
    #[serde(default = "yes")]
    pub(crate) told: bool,
    /// Changes during the run.
    #[serde(default)]
    pub(crate) step: Vec<Step>,
    /// The kinds of callers. One kind with the defaults, unless set.
    #[serde(default)]
    pub(crate) caller: Vec<Caller>,
    /// A point for each kind of callers alone.
    #[serde(default)]
    pub(crate) each_caller_alone: bool,
    /// The limits that contenders tuned by hand try, in multiples of the server's slots; the best
    /// one is reported.
    #[serde(default = "multiples")]
    pub(crate) multiples: Vec<f64>,
    /// The share of the possible goodput from which a contender counts as recovered.
    #[serde(default = "nineteen_in_twenty")]
    pub(crate) recovered: f64,
    /// The score of a point.
    #[serde(default)]
    pub(crate) score: Score,
    /// The arrival process.
    #[serde(default)]
    pub(crate) arrivals: Arrivals,
}

/// A server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Server {
    /// Mean work of a request, in milliseconds.
    pub(crate) mean_ms: f64,
    /// The distribution of work.
    pub(crate) law: Law,
    /// Its stations, in the order in which a request visits them.
    pub(crate) stations: Vec<Station>,
    /// Requests per second that it can answer, where the stations do not determine it.
    pub(crate) capacity: Option<f64>,
    /// Whether it continues with a request whose call is dropped.
    #[serde(default)]
    pub(crate) goes_on: bool,
}

/// A station of a server.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Station {
    /// Workers with an unbounded queue.
    Workers {
        /// The number of workers.
        count: usize,
        /// The share of a request's work that is done here.
        #[serde(default = "all")]
        share: f64,
        /// Slowdown per waiter, as a share.
        #[serde(default)]
        spin: f64,
        /// What a stop leaves behind.
        cold: Option<Cold>,
    },
    /// A shared processor, by the Universal Scalability Law.
    Crowd {
        /// Contention.
        sigma: f64,
        /// Coherency.
        kappa: f64,
    },
}

/// The caches of a station after it has stopped (a step to speed 0): empty, and filled by each request
/// that it completes while its caller waits.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Cold {
    /// The speed with empty caches, as a share of the full one.
    pub(crate) speed: f64,
    /// Requests after which the caches are full.
    pub(crate) requests: f64,
}

/// A change during the run.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Step {
    /// The time of the change, in seconds.
    pub(crate) at: f64,
    /// A gradual change, from `at` until this second.
    pub(crate) until: Option<f64>,
    /// Repeats the change with this period, in seconds.
    pub(crate) every: Option<f64>,
    /// From then on the load is this multiple of the point's.
    pub(crate) load: Option<f64>,
    /// From then on the server has this speed; 0 stops it.
    pub(crate) speed: Option<f64>,
    /// From then on the server has this share of its workers.
    pub(crate) workers: Option<f64>,
}

/// A kind of callers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Caller {
    /// Its name in tables.
    pub(crate) name: String,
    /// Its share of the offered load, relative to the weights of the other kinds.
    pub(crate) weight: f64,
    /// The priority of its requests: `CRITICAL_PLUS` to `SHEDDABLE`.
    pub(crate) criticality: String,
    /// The number of different callers of this kind.
    pub(crate) keys: usize,
    /// Calls in a task, one after the other; the task succeeds if all are answered in time.
    pub(crate) calls: u32,
    /// The mean time between two calls of a task, in seconds: the round trip.
    pub(crate) pause_seconds: f64,
    /// The number of attempts, with the first.
    pub(crate) attempts: u32,
    /// The timeout of an attempt, in seconds. The deadline, unless set.
    pub(crate) timeout_seconds: Option<f64>,
    /// Whether it drops the call after the timeout, so that layers in between are cancelled.
    pub(crate) hangs_up: bool,
    /// The backoff before a retry, doubled each time, with full jitter.
    pub(crate) backoff_seconds: f64,
    /// The work of its requests, in multiples of the server's mean.
    pub(crate) work: f64,
    /// The share of its requests that is answered with 404, after the usual work.
    pub(crate) not_found: f64,
    /// The share of its requests that is answered with 500, after the usual work.
    pub(crate) fails: f64,
    /// From these seconds on, its share is multiplied by these factors.
    pub(crate) changes: Vec<(f64, f64)>,
}

/// The score of a point.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Score {
    /// Answers in time over the possible answers.
    #[default]
    Goodput,
    /// The share of this kind's requests that was answered in time.
    Caller(String),
    /// Answers in time, per caller at most its fair share, over all fair shares.
    Fair,
}

/// The arrival process.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Arrivals {
    /// Independent arrivals.
    #[default]
    Poisson,
    /// Bursts of this many at once.
    Bursts(usize),
    /// The gaps of a file, scaled by the load.
    Trace(Trace),
}

/// A file of arrival times.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(crate) struct Trace {
    /// The gaps between the times, with a mean of 1.
    pub(crate) gaps: Arc<[f64]>,
}

impl TryFrom<PathBuf> for Trace {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        trace::read(&path).map(|gaps| Self { gaps })
    }
}

impl Default for Caller {
    fn default() -> Self {
        Self {
            name: "all".into(),
            weight: 1.0,
            criticality: "CRITICAL".into(),
            keys: 1,
            calls: 1,
            pause_seconds: 0.0,
            attempts: 1,
            timeout_seconds: None,
            hangs_up: false,
            backoff_seconds: 0.0,
            work: 1.0,
            not_found: 0.0,
            fails: 0.0,
            changes: Vec::new(),
        }
    }
}

impl Scenario {
    /// A scenario without servers and loads, with a file's defaults for all other fields.
    pub(crate) fn of(about: &str) -> Self {
        Self {
            name: String::new(),
            about: about.into(),
            server: Vec::new(),
            load: Vec::new(),
            seconds: 0.0,
            requests: 0.0,
            services: a_hundred(),
            at_most_requests: no_end(),
            warm_up: a_sixth(),
            deadline: ten(),
            deadline_seconds: None,
            told: true,
            step: Vec::new(),
            caller: Vec::new(),
            each_caller_alone: false,
            multiples: multiples(),
            recovered: nineteen_in_twenty(),
            score: Score::default(),
            arrivals: Arrivals::default(),
        }
    }

    /// The length of a run on this server, in seconds.
    pub(crate) fn seconds_on(&self, server: &Server) -> f64 {
        (self.requests / server.capacity())
            .max(self.seconds)
            .max(self.services * server.mean_ms / 1e3)
            .min(self.at_most_requests / server.capacity())
    }

    /// Checks the values.
    pub(crate) fn check(&self) -> Result<(), String> {
        let positive = [
            ("requests or seconds", self.requests + self.seconds),
            ("deadline", self.deadline),
            ("at-most-requests", self.at_most_requests),
        ];
        for (field, value) in positive {
            if value.is_nan() || value <= 0.0 {
                return Err(format!("{field} must be above 0"));
            }
        }
        if !(0.0..1.0).contains(&self.warm_up) {
            return Err("warm-up must be at least 0 and below 1".into());
        }
        if self.load.is_empty() || self.server.is_empty() || self.multiples.is_empty() {
            return Err("load, server and multiples must not be empty".into());
        }
        for server in &self.server {
            let capacity = server.capacity();
            if !(capacity.is_finite() && capacity > 0.0) {
                return Err(format!(
                    "{}: the capacity of a server must be above 0",
                    server.name()
                ));
            }
        }
        for caller in &self.caller {
            if caller.criticality.parse::<Criticality>().is_err() {
                return Err(format!("unknown criticality {}", caller.criticality));
            }
            let parts = [caller.not_found, caller.fails];
            if parts.iter().any(|part| !(0.0..=1.0).contains(part))
                || parts.iter().sum::<f64>() > 1.0
            {
                return Err(format!(
                    "{}: not-found and fails must be in 0..=1, and their sum too",
                    caller.name
                ));
            }
            if caller.weight <= 0.0 || caller.task() <= 0.0 || caller.attempts == 0 {
                return Err(format!(
                    "{}: weight, work, calls and attempts must be above 0",
                    caller.name
                ));
            }
        }
        if let Score::Caller(name) = &self.score
            && !self.caller.iter().any(|caller| caller.name == *name)
        {
            return Err(format!("unknown caller in score: {name}"));
        }
        Ok(())
    }
}

impl Caller {
    /// Its share at that second, as a multiple of its usual share.
    pub(crate) fn asks_at(&self, second: f64) -> f64 {
        let mut latest_first = self.changes.iter().rev();
        let last = latest_first.find(|(at, _)| *at <= second);
        last.map_or(1.0, |(_, part)| *part)
    }

    /// The work of a task, in multiples of the server's mean.
    pub(crate) fn task(&self) -> f64 {
        self.work * f64::from(self.calls)
    }
}

impl Server {
    /// Requests per second that it can answer without disturbance.
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

    /// The work of a request at all stations, as a share of its work.
    pub(crate) fn share(&self) -> f64 {
        let share = |station: &Station| match *station {
            Station::Workers { share, .. } => share,
            Station::Crowd { .. } => 1.0,
        };
        self.stations.iter().map(share).sum()
    }

    /// Requests in flight when it is just full: the starting point for tuning by hand.
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

fn a_hundred() -> f64 {
    100.0
}

fn no_end() -> f64 {
    f64::INFINITY
}

fn a_sixth() -> f64 {
    1.0 / 6.0
}

fn yes() -> bool {
    true
}

fn ten() -> f64 {
    10.0
}

fn all() -> f64 {
    1.0
}

fn nineteen_in_twenty() -> f64 {
    0.95
}

fn multiples() -> Vec<f64> {
    vec![1.0, 1.25, 1.5, 2.0, 3.0, 4.0]
}
