//! Runs every point with every contender, several at a time.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    contender::Contender,
    options::Options,
    point::Point,
    run,
    score::{self, Row},
};

/// One run to do.
struct Job<'a> {
    point: &'a Point<'a>,
    contender: &'static Contender,
    multiple: f64,
    seed: u64,
}

/// Runs all points with all contenders. Returns a row per pair, point by point.
pub(crate) fn run_all(points: &[Point<'_>], options: &Options) -> Vec<Row> {
    let mut jobs = Vec::new();
    for point in points {
        for &contender in &options.contenders {
            for &multiple in multiples(point, contender) {
                for seed in options.seed..options.seed + options.seeds.max(1) {
                    jobs.push(Job {
                        point,
                        contender,
                        multiple,
                        seed,
                    });
                }
            }
        }
    }
    let mut done = run_jobs(&jobs, options.threads).into_iter();
    let mut rows = Vec::new();
    for point in points {
        for &contender in &options.contenders {
            let tries = multiples(point, contender).iter().map(|multiple| {
                let runs = done.by_ref().take(options.seeds.max(1) as usize);
                let mut row = mean(&runs.collect::<Vec<_>>());
                row.multiple = contender.tuned.then_some(*multiple);
                row
            });
            let better = |a: Row, b: Row| if b.score > a.score { b } else { a };
            rows.extend(tries.reduce(better));
        }
    }
    rows
}

/// Runs jobs on several threads, the longest first; each thread has its own worlds.
fn run_jobs(jobs: &[Job<'_>], threads: usize) -> Vec<Row> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by(|a, b| {
        let arrivals = |job: &usize| jobs[*job].point.arrivals();
        arrivals(b).total_cmp(&arrivals(a))
    });
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let work = || {
        while let Some(&job) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Job {
                point,
                contender,
                multiple,
                seed,
            } = jobs[job];
            let ledger = run::run(point, contender, multiple, seed);
            let row = score::judge(point, contender.name, ledger);
            done.lock().expect("no run panics").push((job, row));
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().expect("no run panics");
    done.sort_by_key(|(job, _)| *job);
    done.into_iter().map(|(_, row)| row).collect()
}

fn multiples<'a>(point: &'a Point<'_>, contender: &Contender) -> &'a [f64] {
    if contender.tuned {
        &point.scenario.multiples
    } else {
        &[2.0]
    }
}

/// The mean of the runs of one point with different seeds, with the course of the first.
fn mean(rows: &[Row]) -> Row {
    let mean = |f: fn(&Row) -> Option<f64>| {
        let values: Vec<f64> = rows.iter().filter_map(f).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let of = |f: fn(&Row) -> Option<f64>| mean(f).unwrap_or(0.0);
    Row {
        goodput: of(|row| Some(row.goodput)),
        p50_ms: mean(|row| row.p50_ms),
        p99_ms: mean(|row| row.p99_ms),
        refused: of(|row| Some(row.refused)),
        recover_s: mean(|row| row.recover_s),
        score: of(|row| Some(row.score)),
        ..rows[0].clone()
    }
}
