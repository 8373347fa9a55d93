//! What became of the requests of a run.

use std::{cell::RefCell, collections::HashMap};

use crate::{
    caller::Key,
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
pub(crate) const BIN: f64 = 0.1 * SECOND;

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// From when on totals are counted.
    pub(crate) from: Nanos,
    /// Until when.
    pub(crate) until: Nanos,
    pub(crate) callers: Vec<Tally>,
    /// Each caller's, where there are several.
    pub(crate) keys: HashMap<u32, Tally>,
    /// Answers in time, by when they came.
    pub(crate) bins: Vec<u32>,
    /// Tasks that began, by when.
    pub(crate) offered_bins: Vec<u32>,
    /// Latencies of what was answered, late or not, in seconds.
    pub(crate) latencies: Vec<f32>,
    /// Limits seen, in each bin.
    pub(crate) limits: Vec<f64>,
}

/// Tasks that began while totals were counted, by their end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) in_time: u64,
    pub(crate) late: u64,
    pub(crate) refused: u64,
}

impl Tally {
    pub(crate) fn offered(&self) -> u64 {
        self.in_time + self.late + self.refused
    }
}

thread_local! {
    static LEDGER: RefCell<Ledger> = RefCell::default();
}

/// Opens a new ledger.
pub(crate) fn open(from: Nanos, until: Nanos, callers: usize) {
    LEDGER.set(Ledger {
        from,
        until,
        callers: vec![Tally::default(); callers],
        ..Ledger::default()
    });
}

/// Takes the ledger away.
pub(crate) fn close() -> Ledger {
    LEDGER.take()
}

/// Enters a task that has ended.
pub(crate) fn enter(caller: usize, key: Key, begun: Nanos, ended: Nanos, end: End) {
    LEDGER.with_borrow_mut(|ledger| ledger.enter(caller, key, begun, ended, end));
}

/// Enters the limit at this moment.
pub(crate) fn enter_limit(limit: f64) {
    LEDGER.with_borrow_mut(|ledger| ledger.limits.push(limit));
}

impl Ledger {
    fn enter(&mut self, caller: usize, Key(key): Key, begun: Nanos, ended: Nanos, end: End) {
        count(&mut self.offered_bins, begun);
        if end == End::InTime {
            count(&mut self.bins, ended);
        }
        // Answers count when they come, as the server's work does; refusals and lateness are told with them.
        if ended < self.from || ended >= self.until {
            return;
        }
        let add = |tally: &mut Tally| match end {
            End::InTime => tally.in_time += 1,
            End::Late => tally.late += 1,
            End::Refused => tally.refused += 1,
        };
        add(&mut self.callers[caller]);
        add(self.keys.entry(key).or_default());
        if end != End::Refused {
            self.latencies
                .push(((ended - begun) as f64 / SECOND) as f32);
        }
    }

    /// All callers together.
    pub(crate) fn total(&self) -> Tally {
        let sum = |a: Tally, b: &Tally| Tally {
            in_time: a.in_time + b.in_time,
            late: a.late + b.late,
            refused: a.refused + b.refused,
        };
        self.callers.iter().fold(Tally::default(), sum)
    }

    /// A quantile of the latencies, in milliseconds.
    pub(crate) fn latency_ms(&mut self, quantile: f64) -> Option<f64> {
        let last = self.latencies.len().checked_sub(1)?;
        let index = (quantile * last as f64).round() as usize;
        let (_, value, _) = self.latencies.select_nth_unstable_by(index, f32::total_cmp);
        Some(f64::from(*value) * 1e3)
    }
}

fn count(bins: &mut Vec<u32>, at: Nanos) {
    let bin = (at as f64 / BIN) as usize;
    if bins.len() <= bin {
        bins.resize(bin + 1, 0);
    }
    bins[bin] += 1;
}
