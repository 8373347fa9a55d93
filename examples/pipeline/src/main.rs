//! An access log that is parsed, aggregated and stored by a slow last stage, in bounded memory.
//!
//! ```sh
//! cargo run --release -p pipeline               # a generated log of 300,000 lines
//! cargo run --release -p pipeline -- access.log # a file
//! ```
//!
//! Runs for about three seconds with the generated log. The stages to copy from are in `stages.rs`.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod lines;
mod report;
mod stages;

use std::{env, error::Error, process::ExitCode, time::Duration};

use futures_util::{Stream, StreamExt};
use plimsoll_stream::{Pipeline, PipelineEnd, PipelineRun};
use tokio::time::{Instant, sleep};

use self::{
    lines::{Census, Line},
    stages::Table,
};

/// How often the figures are printed.
const TICK: Duration = Duration::from_millis(500);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run(env::args_os().nth(1)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pipeline: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(file: Option<std::ffi::OsString>) -> Result<(), Box<dyn Error>> {
    let census = Census::default();
    let source = if let Some(path) = file {
        lines::of_file(path.as_ref(), &census).await?.left_stream()
    } else {
        report::alone(lines::generated(&Census::default())).await;
        lines::generated(&census).right_stream()
    };
    let table = Table::default();
    let run = pipeline(source, &table)?;
    let handle = run.handle();

    // The pipeline is one future. This program spawns it, and prints figures meanwhile.
    let start = Instant::now();
    let mut running = tokio::spawn(run);
    report::head();
    let end = loop {
        tokio::select! {
            end = &mut running => break end??,
            () = sleep(TICK) => report::tick(start.elapsed(), &handle, &census),
        }
    };
    let took = start.elapsed();
    report::tick(took, &handle, &census);
    report::stages(took, &handle);
    report::memory(&handle, &census);
    report::table(&table);
    if end != PipelineEnd::Completed {
        return Err(format!("ended early: {end:?}").into());
    }
    Ok(())
}

/// Lines, entries, summaries, and a database that is slow.
fn pipeline(
    source: impl Stream<Item = Line> + Send + 'static,
    table: &Table,
) -> Result<PipelineRun<'static>, Box<dyn Error>> {
    let table = table.clone();
    let run = Pipeline::from(source)
        .stage("parse", stages::parse())
        .stage("aggregate", stages::aggregate())
        // Four summaries are in the buffer at most, as each stands for a thousand lines.
        .sink_buffer(4)
        .for_each(move |summary| {
            let table = table.clone();
            async move { table.store(summary).await }
        })?;
    Ok(run)
}
