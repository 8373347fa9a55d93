//! What became of the tasks of a run.

use std::cell::RefCell;

use crate::{
    oracle::Oracle,
    world::{Nanos, SECOND},
};

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Answered, and the caller still wanted it.
    InTime,
    /// Answered too late, or given up.
    Late,
    /// Refused.
    Refused,
}

/// Tenths of a second: how finely the ledger tells when.
pub(crate) const BIN_SECONDS: f64 = 0.1;
pub(crate) const BIN: f64 = BIN_SECONDS * SECOND;

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// From when on totals are counted, and until when.
    from: Nanos,
    until: Nanos,
    /// Tasks that begin later may not end before the run does; they are in the bins only.
    last_begin: Nanos,
    /// Work of a task of each kind of callers, in means of the server's.
    weights: Vec<f64>,
    /// Tasks that began while they were counted, by kind of callers and by caller.
    tallies: Vec<Vec<Tally>>,
    /// Work answered in time, by when the answer came.
    pub(crate) answered: Vec<f64>,
    /// Work of tasks that began, by when.
    pub(crate) offered: Vec<f64>,
    /// Latencies of what was answered, late or not, in seconds.
    latencies: Vec<f32>,
    /// The limit at the beginning of each bin, where there is one.
    pub(crate) limits: Vec<f64>,
    /// Requests that the server got, and the work drawn for them over what was to be expected.
    started: f64,
    drawn: f64,
    /// What could be answered at best, where somebody can tell.
    oracle: Option<Oracle>,
}

/// Tasks, by their end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) offered: u64,
    pub(crate) in_time: u64,
    pub(crate) refused: u64,
}

/// Who has a task: the kind of callers, and which of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whose {
    pub(crate) kind: usize,
    pub(crate) caller: usize,
}

thread_local! {
    static LEDGER: RefCell<Ledger> = RefCell::default();
}

/// Opens a new ledger, of a run that counts from `from` until `until`, in seconds. `kinds` are the callers: how many,
/// and the work of a task of theirs. The `oracle` is told of all requests that count.
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
        oracle,
        ..Ledger::default()
    });
}

/// Takes the ledger away.
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

/// A request has come, refused or not: this is how long a worker would take for it, in nanoseconds.
pub(crate) fn come(at: Nanos, work: f64) {
    LEDGER.with_borrow_mut(|ledger| {
        if let Some(oracle) = &mut ledger.oracle
            && at >= ledger.from
        {
            oracle.offer(at as f64, work);
        }
    });
}

/// The server has got a request: the work drawn for it, over what was to be expected of it.
pub(crate) fn start(drawn: f64, at: Nanos) {
    LEDGER.with_borrow_mut(|ledger| {
        if at >= ledger.from {
            ledger.started += 1.0;
            ledger.drawn += drawn;
        }
    });
}

/// The limit at this moment.
pub(crate) fn limit(limit: f64) {
    LEDGER.with_borrow_mut(|ledger| ledger.limits.push(limit));
}

impl Ledger {
    fn tally(&mut self, whose: Whose, begun: Nanos) -> Option<&mut Tally> {
        let counted = begun >= self.from && begun < self.last_begin;
        counted.then(|| &mut self.tallies[whose.kind][whose.caller])
    }

    /// Seconds in which a task had to begin to be in the tallies.
    pub(crate) fn tally_seconds(&self) -> f64 {
        (self.last_begin - self.from) as f64 / SECOND
    }

    /// The callers of a kind, one by one.
    pub(crate) fn callers(&self, kind: usize) -> &[Tally] {
        &self.tallies[kind]
    }

    /// A kind of callers together.
    pub(crate) fn kind(&self, kind: usize) -> Tally {
        sum(&self.tallies[kind])
    }

    /// All together.
    pub(crate) fn total(&self) -> Tally {
        sum(self.tallies.iter().flatten())
    }

    /// The work that the requests turned out to be, over what was to be expected of them: what the server could do is
    /// less by it. Close to 1; without it, laws with long tails would need runs ten times as long.
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

    /// The mean of them.
    #[cfg(test)]
    pub(crate) fn mean_latency_ms(&self) -> f64 {
        let sum: f64 = self.latencies.iter().copied().map(f64::from).sum();
        sum / self.latencies.len() as f64 * 1e3
    }

    /// A quantile of the latencies of what was answered, in milliseconds.
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
    if let Some(bin) = bins.get_mut((at as f64 / BIN) as usize) {
        *bin += work;
    }
}
