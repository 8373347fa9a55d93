//! The figures as a table for the terminal.

use std::fmt::Write;

use crate::{
    figures::{Figures, Run, Server},
    tally::Tally,
};

const HEAD: &str = "\
phase        server    offered/s  answered/s  goodput   house/s   late/s   p50 ms   p99 ms  p99.9 ms   peak MiB  lag ms  \
rejected, by policy";

/// Returns the table, with one row for each phase and server.
pub(crate) fn table(figures: &Figures) -> String {
    let mut table = format!("{HEAD}\n");
    for phase in &figures.phases {
        for (server, run) in phase.runs() {
            let name = if server == Server::Plimsoll {
                phase.name.as_str()
            } else {
                ""
            };
            // Writing to a string cannot fail.
            _ = writeln!(table, "{}", row(name, server, run, figures.capacity));
        }
    }
    table.push_str(NOTES);
    table
}

const NOTES: &str = "
offered, answered, house and late are auctions; goodput is answered (in time, with the auction's winner) over the measured
capacity; house is answered in time with a house ad instead. Percentiles are those of answered auctions, from the moment they
were due. Rejected: auctions by rate-limit and concurrency (a house ad replaces concurrency's), impressions by load-shed,
bids by circuit-breaker. Late includes broken connections and unsent requests. Lag is the largest delay of the generator.
";

fn row(phase: &str, server: Server, run: &Run, capacity: f64) -> String {
    let total = &run.total;
    let per_second = |count: u64| count as f64 / total.seconds.max(f64::EPSILON);
    format!(
        "{phase:12} {:8} {:10.0} {:11.0} {:8.2} {:9.0} {:8.0} {:8.0} {:8.0} {:9.0} {:10.0} {:7.1}  {}{}",
        server.name(),
        total.offered_rps(),
        total.goodput_rps(),
        run.goodput(capacity),
        per_second(total.degraded),
        per_second(total.late + total.failed + total.unsent),
        total.p50_ms,
        total.p99_ms,
        total.p999_ms,
        run.peak_mib,
        total.worst_lag_ms,
        rejections(total),
        if run.is_void() {
            "  VOID: the generator was late"
        } else {
            ""
        },
    )
}

/// Returns the sums of all rounds in one line.
pub(crate) fn totals(rounds: u32, total: &Tally) -> String {
    format!(
        "after {rounds} rounds: {} auctions offered, {} answered, {} house ads, {} rejected, {} late; rejected, by policy: {}",
        total.offered,
        total.answered,
        total.degraded,
        total.turned_away,
        total.late + total.failed + total.unsent,
        rejections(total),
    )
}

fn rejections(total: &Tally) -> String {
    let one = |(policy, count): (&String, &u64)| format!("{policy} {count}");
    let all: Vec<String> = total.refused.iter().map(one).collect();
    if all.is_empty() {
        "-".to_owned()
    } else {
        all.join(", ")
    }
}
