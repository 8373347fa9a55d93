//! What is printed.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use plimsoll_stream::PipelineHandle;
use tokio::time::Instant;

use crate::{
    lines::{Census, Line},
    stages::Table,
};

/// How fast the source would be.
pub(crate) async fn alone(source: impl Stream<Item = Line>) {
    let start = Instant::now();
    let lines = source.count().await;
    let rate = lines as f64 / start.elapsed().as_secs_f64();
    println!("the source alone: {rate:.0} lines/s\n");
}

pub(crate) fn head() {
    println!("   time   lines read     lines/s   in memory   buffers");
}

/// One line about the pipeline now.
pub(crate) fn tick(elapsed: Duration, handle: &PipelineHandle, census: &Census) {
    let stages = handle.stages();
    let read = stages.first().map_or(0, |source| source.sent);
    let buffers: Vec<_> = stages
        .iter()
        .skip(1)
        .map(|stage| format!("{} {}/{}", stage.name, stage.queued, stage.capacity))
        .collect();
    println!(
        "{:>6.1}s {read:>12} {:>11.0} {:>11}   {}",
        elapsed.as_secs_f64(),
        read as f64 / elapsed.as_secs_f64(),
        census.now(),
        buffers.join(", ")
    );
}

/// The figures of each stage.
pub(crate) fn stages(elapsed: Duration, handle: &PipelineHandle) {
    println!(
        "\n{:10}{:>10}{:>10}{:>8}{:>8}{:>12}{:>8}",
        "stage", "in", "out", "failed", "buffer", "concurrency", "busy"
    );
    for stage in handle.stages() {
        let places = stage.concurrency as f64 * elapsed.as_secs_f64();
        println!(
            "{:10}{:>10}{:>10}{:>8}{:>8}{:>12}{:>7.1}%",
            stage.name,
            stage.received,
            stage.sent,
            stage.failed,
            stage.capacity,
            stage.concurrency,
            100.0 * stage.busy.as_secs_f64() / places
        );
    }
}

/// The most lines in memory at a time, and the bound: the places in front of the aggregation.
pub(crate) fn memory(handle: &PipelineHandle, census: &Census) {
    let before = handle.stages().into_iter().take(3);
    let bound: usize = before
        .filter(|stage| stage.name != "source")
        .map(|stage| stage.capacity + stage.concurrency)
        .sum();
    println!(
        "\nlines in memory: at most {}, bound {bound}",
        census.most()
    );
}

pub(crate) fn table(table: &Table) {
    println!(
        "\n{:12}{:>10}{:>8}{:>12}",
        "path", "requests", "errors", "mean ms"
    );
    for (path, sum) in table.rows() {
        let mean = sum.time.as_secs_f64() * 1e3 / sum.requests as f64;
        println!("{path:12}{:>10}{:>8}{mean:>12.2}", sum.requests, sum.errors);
    }
}
