//! The results of a run, for the table, the report and the JSON.

use crate::{settings::LAG_BOUND, tally::Tally};

/// The two servers that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Plimsoll,
    Bare,
}

impl Server {
    pub(crate) const BOTH: [Self; 2] = [Self::Plimsoll, Self::Bare];

    /// Returns its name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plimsoll => "plimsoll",
            Self::Bare => "bare",
        }
    }

    /// Returns the role of its process.
    pub(crate) const fn role(self) -> &'static str {
        match self {
            Self::Plimsoll => "server-plimsoll",
            Self::Bare => "server-bare",
        }
    }
}

/// The results of a whole run.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Auctions per second that the bare app can answer, measured in a closed loop.
    pub(crate) capacity: f64,
    /// A heading for the run.
    pub(crate) title: String,
    /// The length of a phase, in seconds. Some phases have a fraction of it.
    pub(crate) seconds: f64,
    /// The length of a phase when no option sets it, in seconds.
    pub(crate) usual_seconds: f64,
    /// The phases, in order.
    pub(crate) phases: Vec<PhaseFigures>,
}

impl Figures {
    /// Returns whether the phases were shorter than usual.
    pub(crate) fn is_short(&self) -> bool {
        self.seconds < self.usual_seconds
    }
}

/// A phase, with both servers.
#[derive(Debug)]
pub(crate) struct PhaseFigures {
    pub(crate) name: String,
    pub(crate) plimsoll: Run,
    pub(crate) bare: Run,
}

impl PhaseFigures {
    /// Returns both servers with their runs.
    pub(crate) fn runs(&self) -> [(Server, &Run); 2] {
        Server::BOTH.map(|server| (server, self.run(server)))
    }

    /// Returns the run with this server.
    pub(crate) fn run(&self, server: Server) -> &Run {
        match server {
            Server::Plimsoll => &self.plimsoll,
            Server::Bare => &self.bare,
        }
    }
}

/// A phase with one server.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) total: Tally,
    /// Largest resident memory of the server, in MiB.
    pub(crate) peak_mib: f64,
    pub(crate) seconds: Vec<Second>,
}

/// One second of a run.
#[derive(Debug, Clone)]
pub(crate) struct Second {
    pub(crate) tally: Tally,
    /// Resident memory of the server at the end of the second, in MiB.
    pub(crate) memory_mib: f64,
}

impl Run {
    /// Returns whether the run is void: the generator was late, so the load was no open loop.
    pub(crate) fn is_void(&self) -> bool {
        self.total.worst_lag_ms > LAG_BOUND.as_secs_f64() * 1_000.0
    }

    /// Returns the goodput as a share of the capacity.
    pub(crate) fn goodput(&self, capacity: f64) -> f64 {
        self.total.goodput_rps() / capacity
    }
}
