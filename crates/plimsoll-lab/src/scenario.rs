//! Scenarios: data files that describe a server, its callers, and what happens.
//!
//! `scenarios/README.md` tells what each field means.

use std::{path::PathBuf, sync::Arc};

use plimsoll_core::Criticality;
use serde::Deserialize;

use crate::{arrival, law::Law};

/// A scenario, as its file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Scenario {
    /// The name of its file.
    #[serde(skip)]
    pub(crate) name: String,
    /// What it shows, in a sentence.
    pub(crate) about: String,
    /// Servers to try it on.
    pub(crate) server: Vec<Server>,
    /// How much is offered, in multiples of a server's capacity: a point for each.
    pub(crate) load: Vec<f64>,
    /// How long it lasts, in seconds; and in requests that a full server answers, whichever is longer.
    #[serde(default)]
    pub(crate) seconds: f64,
    #[serde(default)]
    pub(crate) requests: f64,
    /// And in mean service times: adapting takes some, and so does a backlog that makes answers late.
    #[serde(default = "a_hundred")]
    pub(crate) services: f64,
    /// And no longer than for this many such requests, however long that is.
    #[serde(default = "no_end")]
    pub(crate) at_most_requests: f64,
    /// The part of it, from its beginning, that is not counted.
    #[serde(default = "a_sixth")]
    pub(crate) warm_up: f64,
    /// Callers want their answer in this many mean service times.
    #[serde(default = "ten")]
    pub(crate) deadline: f64,
    /// Or in this many seconds.
    pub(crate) deadline_seconds: Option<f64>,
    /// Whether requests carry their deadline.
    #[serde(default = "yes")]
    pub(crate) told: bool,
    /// What happens.
    #[serde(default)]
    pub(crate) step: Vec<Step>,
    /// Who calls. One caller of everything, unless said otherwise.
    #[serde(default)]
    pub(crate) caller: Vec<Caller>,
    /// A point for each kind of callers, with nobody else there.
    #[serde(default)]
    pub(crate) each_caller_alone: bool,
    /// What a server tuned by hand tries, in multiples of its slots; the best is told.
    #[serde(default = "multiples")]
    pub(crate) multiples: Vec<f64>,
    /// Recovered is who answers this part of what is possible.
    #[serde(default = "nineteen_in_twenty")]
    pub(crate) recovered: f64,
    /// What a point is judged by.
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
    /// It goes on with a request when the call is dropped.
    #[serde(default)]
    pub(crate) goes_on: bool,
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
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Step {
    /// When, in seconds.
    pub(crate) at: f64,
    /// It comes about little by little from then until this second.
    pub(crate) until: Option<f64>,
    /// It happens again each so many seconds.
    pub(crate) every: Option<f64>,
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
    /// The mean time between two calls of a task, in seconds: what the way there and back takes.
    pub(crate) pause_seconds: f64,
    /// How often it tries, the first time included.
    pub(crate) attempts: u32,
    /// It takes a try for lost after this many seconds. Until the deadline, unless said.
    pub(crate) timeout_seconds: Option<f64>,
    /// It then drops the call, and whoever is in between hears of it.
    pub(crate) hangs_up: bool,
    /// How long it waits before it tries again, doubled each time, with full jitter.
    pub(crate) backoff_seconds: f64,
    /// The work of its requests, in means of the server's.
    pub(crate) work: f64,
    /// The part of its requests that is answered with 404, after the usual work.
    pub(crate) not_found: f64,
    /// The part of its requests that is answered with 500, after the usual work.
    pub(crate) fails: f64,
    /// From so many seconds on it asks for this multiple of its part.
    pub(crate) changes: Vec<(f64, f64)>,
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
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Arrivals {
    /// As if nobody knew of anybody.
    #[default]
    Poisson,
    /// In bursts of this many at once.
    Bursts(usize),
    /// As a file tells, faster or slower by the load.
    Trace(Trace),
}

/// A file of arrival times.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(crate) struct Trace {
    /// The times between them, the mean being 1.
    pub(crate) gaps: Arc<[f64]>,
}

impl TryFrom<PathBuf> for Trace {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        arrival::read(&path).map(|gaps| Self { gaps })
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
    /// One without servers and loads, and with the defaults of a file for everything else.
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

    /// How long it lasts on this server, in seconds.
    pub(crate) fn seconds_on(&self, server: &Server) -> f64 {
        (self.requests / server.capacity())
            .max(self.seconds)
            .max(self.services * server.mean_ms / 1e3)
            .min(self.at_most_requests / server.capacity())
    }

    /// What the types cannot say.
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
            return Err("warm-up must be from 0 to below 1".into());
        }
        if self.load.is_empty() || self.server.is_empty() || self.multiples.is_empty() {
            return Err("load, server and multiples must not be empty".into());
        }
        for server in &self.server {
            let capacity = server.capacity();
            if !(capacity.is_finite() && capacity > 0.0) {
                return Err(format!(
                    "{}: a server has a capacity above 0",
                    server.name()
                ));
            }
        }
        for caller in &self.caller {
            if caller.criticality.parse::<Criticality>().is_err() {
                return Err(format!("no criticality {}", caller.criticality));
            }
            let parts = [caller.not_found, caller.fails];
            if parts.iter().any(|part| !(0.0..=1.0).contains(part))
                || parts.iter().sum::<f64>() > 1.0
            {
                return Err(format!(
                    "{}: not-found and fails must be from 0 to 1 together",
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
            return Err(format!("score names no caller: {name}"));
        }
        Ok(())
    }
}

impl Caller {
    /// What it asks for at that second, as a multiple of its part.
    pub(crate) fn asks_at(&self, second: f64) -> f64 {
        let mut latest_first = self.changes.iter().rev();
        let last = latest_first.find(|(at, _)| *at <= second);
        last.map_or(1.0, |(_, part)| *part)
    }

    /// The work of a task, in means of the server's.
    pub(crate) fn task(&self) -> f64 {
        self.work * f64::from(self.calls)
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
