//! The score of a run: goodput over the possible goodput.
//!
//! The possible goodput is the smaller of the offered load and the server's capacity, without requests
//! that [do not fit](crate::fits) into their deadline. At a load below the capacity, bursts can make
//! that unreachable: there an [oracle](crate::oracle) computes the bound.

use std::ops::Range;

use serde::Serialize;

use crate::{
    measure::{BIN_SECONDS, Ledger, Tally},
    point::Point,
    scenario::Score,
    timeline::Stretch,
};

/// A row of the results, as written to JSON.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) point: String,
    pub(crate) contender: String,
    /// Answers in time, over the server's full capacity.
    pub(crate) goodput: f64,
    /// Latency of all answers, late ones included.
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
    /// The share of the offered requests that was rejected.
    pub(crate) refused: f64,
    /// The longest recovery of all steps; without recovery, the time until the next step or the
    /// end.
    pub(crate) recover_s: Option<f64>,
    /// Goodput over the possible goodput, 0 to 1.
    pub(crate) score: f64,
    /// The best limit of a contender tuned by hand, in multiples of the server's slots.
    #[serde(skip)]
    pub(crate) multiple: Option<f64>,
    #[serde(skip)]
    pub(crate) course: Course,
    /// Load of the point.
    #[serde(skip)]
    pub(crate) load: f64,
    /// Deadline of the point.
    #[serde(skip)]
    pub(crate) deadline_ms: f64,
    /// Answers per bin at full capacity.
    #[serde(skip)]
    pub(crate) full_bin: f64,
}

/// Goodput and limit over time, in bins of a tenth of a second.
#[derive(Debug, Clone, Default)]
pub(crate) struct Course {
    pub(crate) answered: Vec<f64>,
    pub(crate) limits: Vec<f64>,
}

/// Computes the row of a run.
pub(crate) fn judge(point: &Point<'_>, contender: &str, mut ledger: Ledger) -> Row {
    let luck = ledger.luck();
    let counted = point.seconds - point.warm_up;
    let capacity = point.server.capacity();
    let first = (point.warm_up / BIN_SECONDS).round() as usize;
    let last = (point.seconds / BIN_SECONDS).round() as usize;
    let answered: f64 = ledger.answered[first..last].iter().sum();
    let total = ledger.total();
    let score = match &point.scenario.score {
        Score::Goodput => {
            let possible = possible(point, &ledger, point.warm_up, point.seconds, luck);
            answered / possible.min(ledger.at_best().unwrap_or(f64::INFINITY))
        }
        Score::Caller(name) => of_caller(point, &ledger, name, luck),
        Score::Fair => fair(point, &ledger, luck),
    };
    Row {
        scenario: point.scenario.name.clone(),
        point: point.name.clone(),
        contender: contender.into(),
        goodput: answered / counted / capacity,
        p50_ms: ledger.latency_ms(0.5),
        p99_ms: ledger.latency_ms(0.99),
        refused: total.refused as f64 / (total.offered as f64).max(1.0),
        recover_s: recovery(point, &ledger, luck),
        score: score.clamp(0.0, 1.0),
        multiple: None,
        load: point.load,
        deadline_ms: point.deadline * 1e3,
        full_bin: capacity * BIN_SECONDS,
        course: Course {
            answered: std::mem::take(&mut ledger.answered),
            limits: std::mem::take(&mut ledger.limits),
        },
    }
}

/// The work that could have been answered between two times: the offered work, or the server's
/// capacity.
fn possible(point: &Point<'_>, ledger: &Ledger, from: f64, until: f64, luck: f64) -> f64 {
    let of = |stretch: &Stretch| {
        let bins = bins(stretch, from, until);
        let offered: f64 = ledger.offered[bins.clone()].iter().sum();
        let load = |kind: usize| point.callers[kind].weight * point.callers[kind].task();
        let fits = |kind: usize| load(kind) * ledger.fits.offered(kind, bins.clone());
        let kinds = 0..point.callers.len();
        let all: f64 = kinds.clone().map(load).sum();
        let offered = offered * kinds.clone().map(fits).sum::<f64>() / all;
        // A policy may prefer the kind of which the most are in time.
        let shares = kinds.map(|kind| ledger.fits.capacity(kind, bins.clone()));
        offered.min(room(point, stretch, &bins, luck) * shares.fold(0.0, f64::max))
    };
    point.stretches.iter().map(of).sum::<f64>().max(1e-9)
}

/// The bins of a stretch, from a time until another.
fn bins(stretch: &Stretch, from: f64, until: f64) -> Range<usize> {
    let within = |at: f64| (at.clamp(from, until) / BIN_SECONDS).round() as usize;
    within(stretch.from)..within(stretch.until)
}

/// The work that the server can do in these bins of a stretch.
fn room(point: &Point<'_>, stretch: &Stretch, bins: &Range<usize>, luck: f64) -> f64 {
    point.server.capacity() * stretch.capacity * bins.len() as f64 * BIN_SECONDS / luck
}

/// The share of one kind of callers' tasks that was answered in time, of those that could be.
fn of_caller(point: &Point<'_>, ledger: &Ledger, name: &str, luck: f64) -> f64 {
    let Some(kind) = point.callers.iter().position(|caller| caller.name == name) else {
        return 0.0;
    };
    let (tally, task, fits) = (ledger.kind(kind), point.callers[kind].task(), &ledger.fits);
    let until = point.warm_up + ledger.tally_seconds();
    let requests = |stretch: &Stretch| fits.requests(kind, bins(stretch, point.warm_up, until));
    let all: f64 = point.stretches.iter().map(requests).sum();
    let of = |stretch: &Stretch| {
        let bins = bins(stretch, point.warm_up, until);
        let offered = tally.offered as f64 * requests(stretch) / all.max(1.0);
        let room = room(point, stretch, &bins, luck) / task;
        let served = room * fits.capacity(kind, bins.clone());
        served.min(offered * fits.offered(kind, bins))
    };
    let possible: f64 = point.stretches.iter().map(of).sum();
    tally.in_time as f64 / possible.max(1.0)
}

/// Answers in time, per caller at most its fair share, over all fair shares.
fn fair(point: &Point<'_>, ledger: &Ledger, luck: f64) -> f64 {
    let callers: Vec<Tally> = (0..point.callers.len())
        .flat_map(|kind| ledger.callers(kind).to_vec())
        .collect();
    let until = point.warm_up + ledger.tally_seconds();
    let of = |stretch| room(point, stretch, &bins(stretch, point.warm_up, until), luck);
    let room = point.stretches.iter().map(of).sum::<f64>() / point.cost();
    let demands: Vec<f64> = callers.iter().map(|tally| tally.offered as f64).collect();
    let level = water_level(&demands, room);
    let (mut got, mut fair) = (0.0, 0.0);
    for tally in &callers {
        let share = (tally.offered as f64).min(level);
        got += (tally.in_time as f64).min(share);
        fair += share;
    }
    got / fair.max(1.0)
}

/// The level to which `room` fills vessels of the size of the demands (max-min fairness).
fn water_level(demands: &[f64], room: f64) -> f64 {
    let mut sorted = demands.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut left = room;
    for (filled, demand) in sorted.iter().enumerate() {
        let level = left / (sorted.len() - filled) as f64;
        if *demand >= level {
            return level;
        }
        left -= demand;
    }
    f64::INFINITY
}

/// Answers per interval of [`recovery`], so that 95 % of them is significant; small servers need
/// more than a second.
const ENOUGH: f64 = 400.0;

/// Seconds from a step until an interval with the goodput to recover to; of several steps, the
/// longest.
fn recovery(point: &Point<'_>, ledger: &Ledger, luck: f64) -> Option<f64> {
    let second = (ENOUGH / point.server.capacity()).max(1.0);
    let mut longest: Option<f64> = None;
    // Gradual steps do not count, and neither do steps that are too short to recover from.
    let stretches = point.stretches.iter();
    let long = |s: &&Stretch| s.from > 0.0 && s.until - s.from > 2.0 * second;
    for stretch in stretches.filter(long).filter(|s| s.load * s.capacity > 0.0) {
        let mut at = stretch.from;
        let good = loop {
            if at + second > stretch.until {
                break stretch.until;
            }
            let bins =
                (at / BIN_SECONDS).round() as usize..((at + second) / BIN_SECONDS).round() as usize;
            let answered: f64 = ledger.answered[bins].iter().sum();
            let goal = point.scenario.recovered * possible(point, ledger, at, at + second, luck);
            if goal > 0.0 && answered >= goal {
                break at;
            }
            at += BIN_SECONDS;
        };
        longest = Some(longest.unwrap_or(0.0).max(good - stretch.from));
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_demands_are_filled_first() {
        let shares = |room| {
            let level = water_level(&[10.0, 50.0, 200.0], room);
            [10.0, 50.0, 200.0].map(|demand: f64| demand.min(level).round() as u32)
        };
        assert_eq!(shares(100.0), [10, 45, 45]);
        assert_eq!(shares(300.0), [10, 50, 200]);
        assert_eq!(shares(15.0), [5, 5, 5]);
    }
}
