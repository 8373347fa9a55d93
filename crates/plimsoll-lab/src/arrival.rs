//! Arrival processes.

use std::sync::Arc;

use fastrand::Rng;

use crate::{law::exponential, scenario::Arrivals};

/// The gaps between arrivals, with a mean of 1.
pub(crate) enum Gaps {
    Poisson,
    Bursts(usize),
    /// The gaps of a trace, repeated, and the index of the next.
    Trace(Arc<[f64]>, usize),
}

impl Gaps {
    pub(crate) fn new(arrivals: &Arrivals) -> Self {
        match arrivals {
            Arrivals::Poisson => Self::Poisson,
            Arrivals::Bursts(size) => Self::Bursts((*size).max(1)),
            Arrivals::Trace(trace) => Self::Trace(Arc::clone(&trace.gaps), 0),
        }
    }

    /// The gap to the next arrivals, and their number.
    pub(crate) fn next(&mut self, rng: &mut Rng) -> (f64, usize) {
        match self {
            Self::Poisson => (exponential(rng), 1),
            Self::Bursts(size) => (exponential(rng) * *size as f64, *size),
            Self::Trace(gaps, next) => {
                let gap = gaps[*next];
                *next = (*next + 1) % gaps.len();
                (gap, 1)
            }
        }
    }

    /// Whether a gap that crosses a change of load can be drawn again from there: the process has
    /// no memory.
    pub(crate) fn forgets(&self) -> bool {
        !matches!(self, Self::Trace(..))
    }
}
