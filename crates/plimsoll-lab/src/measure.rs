//! The results of the tasks of a run.

use std::cell::RefCell;

use crate::{
    fits::{Alone, Fits},
    oracle::Oracle,
    world::{Nanos, SECOND},
};

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Answered within the deadline.
    InTime,
    /// Answered after the deadline, or abandoned.
    Late,
    /// Rejected.
    Refused,
}

/// Resolution of the ledger in time.
pub(crate) const BIN_SECONDS: f64 = 0.1;
pub(crate) const BIN: f64 = BIN_SECONDS * SECOND;

/// The counts of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The time range in which totals are counted.
    from: Nanos,
    until: Nanos,
    /// Tasks that begin later may not end before the run does; they are in the bins only.
    last_begin: Nanos,
    /// Work of a task of each kind of callers, in multiples of the server's mean.
    weights: Vec<f64>,
    /// Tasks that began in the time range, by kind of callers and by caller.
    tallies: Vec<Vec<Tally>>,
    /// Work answered in time, by the time of the answer.
    pub(crate) answered: Vec<f64>,
    /// Work of tasks that began, by time.
    pub(crate) offered: Vec<f64>,
    /// Which of the requests could be answered in time.
    pub(crate) fits: Fits,
    /// Latencies of all answers, late ones included, in seconds.
    latencies: Vec<f32>,
    /// The limit at the beginning of each bin, if there is one.
    pub(crate) limits: Vec<f64>,
    /// Requests that the server started.
    started: f64,
    /// Their work over its expected value, summed.
    drawn: f64,
    /// The best possible result, where it can be computed.
    oracle: Option<Oracle>,
}

/// Tasks by their end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) offered: u64,
    pub(crate) in_time: u64,
    pub(crate) refused: u64,
}

/// The caller of a task: its kind, and its index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose {
    pub(crate) kind: usize,
    pub(crate) caller: usize,
}

thread_local! {
    static LEDGER: RefCell<Ledger> = RefCell::default();
}

/// Opens a new ledger for a run that counts from `from` until `until`, in seconds. `kinds` are the
/// callers: their number, and the work of a task. The `oracle` gets all requests that count.
pub(crate) fn open(
    from: f64,
    until: f64,
    deadline: f64,
    kinds: &[(usize, f64)],
    oracle: Option<Oracle>,
) {
    let nanos = |seconds: f64| (seconds.max(0.0) * SECOND) as Nanos;
    let bins = (until / BIN_SECONDS).ceil() as usize + 1;
    LEDGER.set(Ledger {
        from: nanos(from),
        until: nanos(until),
        last_begin: nanos((until - deadline).max(f64::midpoint(from, until))),
        weights: kinds.iter().map(|(_, work)| *work).collect(),
        tallies: kinds
            .iter()
            .map(|(callers, _)| vec![Tally::default(); *callers])
            .collect(),
        answered: vec![0.0; bins],
        offered: vec![0.0; bins],
        fits: Fits::new(kinds.len(), bins),
        oracle,
        ..Ledger::default()
    });
}

/// Takes the ledger.
pub(crate) fn close() -> Ledger {
    LEDGER.take()
}

/// A task begins.
pub(crate) fn begin(whose: Whose, at: Nanos) {
    LEDGER.with_borrow_mut(|ledger| {
        add(&mut ledger.offered, at, ledger.weights[whose.kind]);
        if let Some(tally) = ledger.tally(whose, at) {
            tally.offered += 1;
        }
    });
}

/// A task has ended.
pub(crate) fn end(whose: Whose, begun: Nanos, ended: Nanos, end: End) {
    LEDGER.with_borrow_mut(|ledger| {
        if let Some(tally) = ledger.tally(whose, begun) {
            tally.in_time += u64::from(end == End::InTime);
            tally.refused += u64::from(end == End::Refused);
        }
        if end == End::InTime {
            add(&mut ledger.answered, ended, ledger.weights[whose.kind]);
        }
        if end != End::Refused && ended >= ledger.from && ended < ledger.until {
            let latency = (ended - begun) as f64 / SECOND;
            ledger.latencies.push(latency as f32);
        }
    });
}

/// A request arrives, rejected later or not.
pub(crate) fn come(whose: Whose, at: Nanos, alone: &Alone) {
    LEDGER.with_borrow_mut(|ledger| {
        ledger.fits.add(whose.kind, bin(at), alone);
        if let Some(oracle) = &mut ledger.oracle
            && at >= ledger.from
        {
            oracle.offer(at as f64, alone.work);
        }
    });
}

/// The server starts a request; `drawn` is its work over the expected value.
pub(crate) fn start(drawn: f64, at: Nanos) {
    LEDGER.with_borrow_mut(|ledger| {
        if at >= ledger.from {
            ledger.started += 1.0;
            ledger.drawn += drawn;
        }
    });
}

/// The current limit.
pub(crate) fn limit(limit: f64) {
    LEDGER.with_borrow_mut(|ledger| ledger.limits.push(limit));
}

impl Ledger {
    fn tally(&mut self, whose: Whose, begun: Nanos) -> Option<&mut Tally> {
        let counted = begun >= self.from && begun < self.last_begin;
        counted.then(|| &mut self.tallies[whose.kind][whose.caller])
    }

    /// Length of the time range for tallies, in seconds.
    pub(crate) fn tally_seconds(&self) -> f64 {
        (self.last_begin - self.from) as f64 / SECOND
    }

    /// The tallies of one kind of callers, one per caller.
    pub(crate) fn callers(&self, kind: usize) -> &[Tally] {
        &self.tallies[kind]
    }

    /// The sum over one kind of callers.
    pub(crate) fn kind(&self, kind: usize) -> Tally {
        sum(&self.tallies[kind])
    }

    /// The sum over all callers.
    pub(crate) fn total(&self) -> Tally {
        sum(self.tallies.iter().flatten())
    }

    /// The mean work of the requests over its expected value, by which the server's capacity is
    /// divided. Close to 1; without it, distributions with long tails would need runs ten times as
    /// long.
    pub(crate) fn luck(&self) -> f64 {
        if self.started > 0.0 && self.drawn > 0.0 {
            self.drawn / self.started
        } else {
            1.0
        }
    }

    /// The work that the oracle, if there is one, would have answered in time.
    pub(crate) fn at_best(&self) -> Option<f64> {
        let oracle = self.oracle.as_ref()?;
        Some(oracle.answered() as f64 * self.weights[0])
    }

    /// The mean latency.
    #[cfg(test)]
    pub(crate) fn mean_latency_ms(&self) -> f64 {
        let sum: f64 = self.latencies.iter().copied().map(f64::from).sum();
        sum / self.latencies.len() as f64 * 1e3
    }

    /// A quantile of the latencies of all answers, in milliseconds.
    pub(crate) fn latency_ms(&mut self, quantile: f64) -> Option<f64> {
        let last = self.latencies.len().checked_sub(1)?;
        let index = (quantile * last as f64).round() as usize;
        let (_, value, _) = self.latencies.select_nth_unstable_by(index, f32::total_cmp);
        Some(f64::from(*value) * 1e3)
    }
}

fn sum<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Tally {
    let add = |a: Tally, b: &Tally| Tally {
        offered: a.offered + b.offered,
        in_time: a.in_time + b.in_time,
        refused: a.refused + b.refused,
    };
    tallies.into_iter().fold(Tally::default(), add)
}

fn add(bins: &mut [f64], at: Nanos, work: f64) {
    if let Some(bin) = bins.get_mut(bin(at)) {
        *bin += work;
    }
}

fn bin(at: Nanos) -> usize {
    (at as f64 / BIN) as usize
}
