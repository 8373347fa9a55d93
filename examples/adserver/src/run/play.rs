//! Runs loads against a server: to measure the capacity, and for the phases.

use std::{io, path::Path};

use super::plan::Plan;
use crate::{
    cast::Cast,
    figures::{Run, Second, Server},
    phases::Phase,
    settings::{STORE_WORKERS, nominal_capacity},
    tally::{Load, Schedule},
};

/// Maximum number of repeated void phases per server: other processes may use the processor at times.
const REPEATS: u32 = 2;

/// Measures the most auctions per second that the bare app answers.
///
/// In a closed loop, with more and more clients until the throughput no longer grows.
pub(super) async fn capacity(folder: &Path, seed: u64) -> io::Result<f64> {
    let mut cast = Cast::start(Server::Bare.role(), nominal_capacity(), folder).await?;
    let mut best = 0.0_f64;
    for clients in (1..=6).map(|times| times * STORE_WORKERS) {
        let load = Load {
            target: cast.target,
            schedule: Schedule::Closed { clients },
            // The first second is not counted.
            seconds: 3.1,
            deadline_ms: 10_000,
            seed,
        };
        let run = cast.play(&load, &[], |_| ()).await?;
        let counted = run
            .seconds
            .iter()
            .skip(1)
            .map(|second| second.tally.goodput_rps());
        let rate = counted.sum::<f64>() / (run.seconds.len().max(2) - 1) as f64;
        println!(
            "  {clients:3} clients: {rate:.0} per second, p50 {:.0} ms",
            run.total.p50_ms
        );
        if rate < best * 1.03 {
            return Ok(best.max(rate));
        }
        best = rate;
    }
    Ok(best)
}

/// Runs all phases against one server, with new processes.
pub(super) async fn phases(
    server: Server,
    plan: &Plan,
    capacity: f64,
    folder: &Path,
) -> io::Result<Vec<Run>> {
    let mut cast = Cast::start(server.role(), capacity, folder).await?;
    let mut runs = Vec::new();
    let mut repeats = REPEATS;
    for (number, phase) in plan.phases.iter().enumerate() {
        let load = plan.load(phase, number, capacity, &cast);
        let run = loop {
            if phase.fresh {
                cast.restart_store().await?;
            }
            let mut second = 0;
            let watch = |now: &Second| {
                second += 1;
                progress(server, phase, second, capacity, now);
            };
            let run = cast.play(&load, &phase.events, watch).await?;
            if !run.is_void() {
                break run;
            }
            let lag = run.total.worst_lag_ms;
            println!("{}: VOID, the generator was {lag:.0} ms late", phase.name);
            // A phase after an overload cannot be repeated.
            if !phase.fresh || repeats == 0 {
                break run;
            }
            repeats -= 1;
            println!("once more:");
        };
        runs.push(run);
    }
    Ok(runs)
}

/// Prints one line per second.
pub(super) fn progress(server: Server, phase: &Phase, number: u32, capacity: f64, second: &Second) {
    let tally = &second.tally;
    println!(
        "{:8} {:11} {number:2} s  offered {:5.0}/s  answered {:4.0}/s = {:4.2} of capacity  house {:4}  refused {:4}  \
         late {:4}  p99 {:4.0} ms  {:3.0} MiB",
        server.name(),
        phase.name,
        tally.offered_rps(),
        tally.goodput_rps(),
        tally.goodput_rps() / capacity,
        tally.degraded,
        tally.turned_away,
        tally.late + tally.failed + tally.unsent,
        tally.p99_ms,
        second.memory_mib,
    );
}
