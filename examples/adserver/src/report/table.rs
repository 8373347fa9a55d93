//! The figures as a table for the terminal.

use std::fmt::Write;

use crate::figures::{Figures, Run, Server};

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
    let refused: Vec<String> = total
        .refused
        .iter()
        .map(|(policy, count)| format!("{policy} {count}"))
        .collect();
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
        if refused.is_empty() {
            "-".to_owned()
        } else {
            refused.join(", ")
        },
        if run.is_void() {
            "  VOID: the generator was late"
        } else {
            ""
        },
    )
}
