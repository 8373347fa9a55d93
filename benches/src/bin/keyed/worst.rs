//! The worst decision, with and without a flood of new keys.

use std::{
    hint::{black_box, spin_loop},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use allocation_counter::measure;
use benches::queued::Queued;
use governor::clock::DefaultClock;
use plimsoll_core::Missing;
use plimsoll_rate_limit::RateLimit;
use serde_json::{Map, Value, json};

use crate::{
    limits::{Terms, admits, governor_per_key, outcome, seen},
    report::{Bar, Limit, Report, rounded},
    scale::Scale,
};

/// Honest keys, each with half the rate of its quota.
const HONEST: u64 = 1000;
const QUOTA: Terms = Terms {
    every: Duration::from_millis(5),
    burst: 50,
};
/// Time between two requests of all honest keys together.
const SPACING: Duration = Duration::from_micros(10);
/// A gap between two clock reads of a spinning thread that indicates a preemption.
const PAUSE: Duration = Duration::from_micros(20);
/// A longer decision is a stall, in nanoseconds.
const STALL: u32 = 100_000;

/// The decisions on the honest keys' requests.
#[derive(Debug)]
struct Watched {
    /// Durations in nanoseconds, sorted, without the time that the thread waited for a processor.
    nanos: Vec<u32>,
    refused: u64,
    /// Decisions in which the scheduler ran another thread.
    preempted: u64,
}

impl Watched {
    /// The quantile `share` of the decisions, in microseconds.
    fn micros(&self, share: f64) -> f64 {
        let last = self.nanos.len().saturating_sub(1);
        let index = (last as f64 * share).ceil() as usize;
        self.nanos
            .get(index)
            .map_or(f64::NAN, |nanos| f64::from(*nanos) / 1e3)
    }

    fn stalls(&self) -> usize {
        self.nanos.len() - self.nanos.partition_point(|nanos| *nanos <= STALL)
    }

    fn show(&self, name: &str) -> Value {
        let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(|share| self.micros(share));
        println!(
            "{name:<44}{p50:>9.2}{p99:>9.2}{p999:>9.2}{max:>10.1}{:>10}{:>11}{:>11}{:>10}",
            self.stalls(),
            self.nanos.len(),
            self.preempted,
            self.refused
        );
        json!({
            "p50_us": rounded(p50),
            "p99_us": rounded(p99),
            "p999_us": rounded(p999),
            "max_us": rounded(max),
            "over_100_us": self.stalls(),
            "decisions": self.nanos.len(),
            "preempted": self.preempted,
            "refused": self.refused,
        })
    }
}

/// Decides on the honest keys' requests in another thread while `work` runs on this one.
fn beside<R>(mut admits: impl FnMut(u64) -> bool + Send, work: impl FnOnce() -> R) -> (Watched, R) {
    let (started, stop) = (&AtomicBool::new(false), &AtomicBool::new(false));
    thread::scope(|scope| {
        let watcher = scope.spawn(move || {
            let (mut nanos, mut refused) = (Vec::with_capacity(1 << 21), 0);
            let (mut key, mut due, mut queued, mut preempted) =
                (0, Instant::now(), Queued::new(), 0);
            let mut seen = Instant::now();
            started.store(true, Relaxed);
            while !stop.load(Relaxed) {
                let mut begun = Instant::now();
                loop {
                    if begun - seen > PAUSE {
                        queued.since();
                    }
                    if begun >= due {
                        break;
                    }
                    spin_loop();
                    seen = begun;
                    begun = Instant::now();
                }
                let admitted = admits(key);
                seen = Instant::now();
                let mut took = seen - begun;
                if took > PAUSE {
                    let waited = queued.since();
                    preempted += u64::from(!waited.is_zero());
                    took = took.saturating_sub(waited);
                }
                nanos.push(u32::try_from(took.as_nanos()).unwrap_or(u32::MAX));
                refused += u64::from(!admitted);
                key = (key + 1) % HONEST;
                // Missed requests are not caught up with, since a pause of the machine would look
                // like a greedy client.
                due = (due + SPACING).max(begun);
            }
            nanos.sort_unstable();
            Watched {
                nanos,
                refused,
                preempted,
            }
        });
        while !started.load(Relaxed) {
            spin_loop();
        }
        let done = work();
        stop.store(true, Relaxed);
        let watched = watcher.join().expect("the watcher does not panic");
        (watched, done)
    })
}

/// The flood's keys come after the honest keys.
fn flood_key(number: u64) -> u64 {
    HONEST + number
}

/// Measures one limiter without and with the flood. `decider` makes the decisions of one thread,
/// with one outcome for all.
fn watched<F: FnMut(u64) -> bool + Send>(
    name: &str,
    scale: Scale,
    flood: u64,
    decider: impl Fn() -> F,
    figures: &mut Map<String, Value>,
) -> Watched {
    let mut decide = decider();
    let before = measure(|| (0..HONEST).for_each(|key| _ = decide(key)));
    let (quiet, ()) = beside(decider(), || thread::sleep(scale.watch));
    let (flooded, (growth, took)) = beside(decider(), || {
        let begun = Instant::now();
        let growth = measure(|| {
            for number in 0..flood {
                black_box(decide(flood_key(number)));
            }
        });
        (growth.bytes_current, begun.elapsed())
    });
    let quiet_figures = quiet.show(&format!("{name}, quiet"));
    let flooded_figures = flooded.show(&format!("{name}, flooded"));
    let per_key = took.as_nanos() as f64 / flood as f64;
    println!(
        "  {flood} new keys at {per_key:.0} ns; {} kB grew by {} kB",
        before.bytes_current / 1000,
        growth / 1000
    );
    let entry = json!({
        "quiet": quiet_figures,
        "flooded": flooded_figures,
        "flood_keys": flood,
        "flood_ns_per_key": rounded(per_key),
        "bytes_of_honest_keys": before.bytes_current,
        "bytes_grown": growth,
    });
    figures.insert(name.to_owned(), entry);
    flooded
}

pub fn run(scale: Scale, report: &mut Report) -> Result<(), String> {
    println!(
        "\nmicroseconds of a decision on {HONEST} honest keys, one in {SPACING:?}\n{:<44}{:>9}{:>9}{:>9}{:>10}{:>10}{:>11}{:>11}{:>10}",
        "", "p50", "p99", "p99.9", "max", "> 100 us", "decisions", "preempted", "refused"
    );
    let (mut figures, mut worst) = (Map::new(), Vec::new());
    // As exposed to a pause as a slow decision is.
    let idle = || |_| (0..8).all(|_| black_box(Instant::now()).elapsed() < Duration::MAX);
    let floor = watched("an empty loop", scale, scale.flood / 5, idle, &mut figures);
    for capacity in scale.flooded {
        let limit = RateLimit::new(QUOTA.plimsoll()).map_err(|error| error.to_string())?;
        let limit = limit.per_key(|key: &u64| Some(*key), Missing::Share, capacity);
        let limit = &limit.map_err(|error| error.to_string())?;
        let decider = || {
            let end = outcome();
            move |key| admits(limit, key, tokio::time::Instant::now(), &end)
        };
        let name = format!("plimsoll, {capacity} keys");
        let flooded = watched(&name, scale, scale.flood, decider, &mut figures);
        let (keys, most) = (limit.handle().keys(), limit.handle().capacity());
        println!("  {keys} keys held, {most} at most");
        if keys > most {
            return Err(format!("{name}: {keys} keys in a table for {most}"));
        }
        worst.push((name, flooded.micros(1.0)));
    }
    governor(scale, &mut figures)?;
    report.figure("worst", figures);
    report.bar(Bar {
        promise: "the worst decision in a flood, microseconds",
        limit: Limit::Below(100.0),
        cases: worst,
        floor: Some(floor.micros(1.0)),
    });
    Ok(())
}

/// `governor`, and the sweep without which it keeps every key.
fn governor(scale: Scale, figures: &mut Map<String, Value>) -> Result<(), String> {
    let limit = &governor_per_key(QUOTA, DefaultClock::default());
    let decider = || |key| seen(limit.check_key(&key));
    watched("governor", scale, scale.flood, decider, figures);
    println!("  {} keys held", limit.len());
    // Until the last keys of the flood have their quota again.
    thread::sleep(Duration::from_millis(100));
    let (swept, took) = beside(decider(), || {
        let begun = Instant::now();
        limit.retain_recent();
        begun.elapsed()
    });
    let entry = swept.show("governor, swept");
    println!("  a sweep of {took:?} left {} keys", limit.len());
    if limit.len() as u64 > HONEST {
        return Err("governor's sweep left keys of the flood".to_owned());
    }
    let sweep = json!({"decisions": entry, "took_ms": rounded(took.as_secs_f64() * 1e3)});
    figures.insert("governor, swept".to_owned(), sweep);
    Ok(())
}
