//! The figures as tables, as bars and as JSON.

use std::{fs::File, io, path::Path};

use serde::Serialize;

use crate::throughput::Cancelled;

/// One contender in one case.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) contender: String,
    /// Million items per second, best round.
    pub(crate) mps: f64,
    /// Nanoseconds per item, best round.
    pub(crate) ns: f64,
    /// Items lost in the cancellation probe; absent for contenders that are not async.
    pub(crate) lost_on_cancel: Option<u64>,
    pub(crate) duplicated_on_cancel: Option<u64>,
}

impl Row {
    pub(crate) fn new(case: &str, contender: &str, ns: f64, cancelled: Option<Cancelled>) -> Self {
        let rounded = |figure: f64| (figure * 100.0).round() / 100.0;
        Self {
            case: case.to_owned(),
            contender: contender.to_owned(),
            mps: rounded(1e3 / ns),
            ns: rounded(ns),
            lost_on_cancel: cancelled.map(|cancelled| cancelled.lost),
            duplicated_on_cancel: cancelled.map(|cancelled| cancelled.duplicated),
        }
    }

    fn is_ours(&self) -> bool {
        self.contender.starts_with("plimsoll")
    }

    fn is_cancel_safe(&self) -> bool {
        self.lost_on_cancel == Some(0) && self.duplicated_on_cancel == Some(0)
    }
}

pub(crate) fn print(rows: &[Row]) {
    println!(
        "{:<34}{:<34}{:>10}{:>10}{:>10}{:>12}",
        "case", "contender", "M/s", "ns", "lost", "duplicated"
    );
    let count = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    for row in rows {
        println!(
            "{:<34}{:<34}{:>10.2}{:>10.1}{:>10}{:>12}",
            row.case,
            row.contender,
            row.mps,
            row.ns,
            count(row.lost_on_cancel),
            count(row.duplicated_on_cancel)
        );
    }
}

/// Writes the rows for other programs.
pub(crate) fn write_json(rows: &[Row], path: &Path) -> io::Result<()> {
    serde_json::to_writer_pretty(File::create(path)?, rows).map_err(io::Error::from)
}

/// Prints the project's own bars and which are missed.
pub(crate) fn print_bars(rows: &[Row], idle_subscriber_bytes: u64) {
    println!("\nbars:");
    for case in ["queue/block/1p", "queue/block/4p"] {
        let of_case = || rows.iter().filter(move |row| row.case == case);
        let best = |keep: &dyn Fn(&Row) -> bool| {
            let kept = of_case().filter(|row| keep(row));
            kept.max_by(|a, b| a.mps.total_cmp(&b.mps))
        };
        let ours = best(&Row::is_ours);
        let peer = best(&|row| !row.is_ours() && row.is_cancel_safe());
        bar(
            &format!("{case}: at least 0.8 of the best cancel-safe peer"),
            ours,
            peer,
            0.8,
        );
        let tokio = best(&|row| row.contender == "tokio mpsc");
        bar(
            &format!("{case}: at least 3 times tokio mpsc"),
            ours,
            tokio,
            3.0,
        );
        let ours = best(&|row| row.contender == "plimsoll, recv_many");
        let tokio = best(&|row| row.contender == "tokio mpsc, recv_many");
        bar(
            &format!("{case}: the same, both with recv_many"),
            ours,
            tokio,
            3.0,
        );
    }
    let find = |case: &str, contender: &str| {
        let mut found = rows.iter().filter(|row| row.case == case);
        found.find(|row| row.contender == contender)
    };
    let oldest = "queue/drop_oldest/full";
    bar(
        "queue/drop_oldest/full: at most the time of ArrayQueue::force_push",
        find(oldest, "plimsoll"),
        find(oldest, "ArrayQueue::force_push (sync)"),
        1.0,
    );
    let measured = find("queue/push+pop", "plimsoll, waits of 1 in 16");
    if let (Some(with), Some(without)) = (measured, find("queue/push+pop", "plimsoll")) {
        let added = with.ns - without.ns;
        let status = if added <= 8.0 { "holds" } else { "MISSED" };
        println!("{status:<8}{added:>7.2}  ns per item for the histogram of waits, at most 8");
    }
    hub_bars(rows, idle_subscriber_bytes);
}

/// The bars of the hub.
fn hub_bars(rows: &[Row], idle_subscriber_bytes: u64) {
    for case in ["hub/1000", "hub/10000"] {
        let find = |contender: &str| {
            let mut of_case = rows.iter().filter(|row| row.case == case);
            of_case.find(|row| row.contender == contender)
        };
        for (peer, bound) in [("splaycast", 1.0), ("tokio broadcast", 2.0)] {
            let text = format!("{case}: at least {bound} times {peer}");
            bar(&text, find("plimsoll"), find(peer), bound);
        }
    }
    let status = if idle_subscriber_bytes < 512 {
        "holds"
    } else {
        "MISSED"
    };
    println!("{status:<8}{idle_subscriber_bytes:>7}  bytes per idle subscriber, below 512");
}

/// The rate of `ours` over that of `peer`, which must be at least `bound`.
fn bar(text: &str, ours: Option<&Row>, peer: Option<&Row>, bound: f64) {
    let (Some(ours), Some(peer)) = (ours, peer) else {
        println!("{:<8}{:>7}  {text}", "NOT MEASURED", "-");
        return;
    };
    let ratio = peer.ns / ours.ns;
    let status = if ratio >= bound { "holds" } else { "MISSED" };
    println!(
        "{status:<8}{ratio:>7.2}  {text} ({} over {})",
        ours.contender, peer.contender
    );
}
