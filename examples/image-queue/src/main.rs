//! Uploads that are blurred by a bounded queue of work. See the README.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod app;
mod blur;
mod pnm;
mod results;
mod settings;

use std::{error::Error, process::ExitCode};

use plimsoll_stream::{listener::BackpressureListener, work::WorkQueue};
use tokio::net::TcpListener;

use self::settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image-queue: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let work = WorkQueue::builder(settings.capacity)
        .workers(settings.workers)
        .max_bytes(settings.max_bytes)
        .build()?;
    let tcp = TcpListener::bind(&settings.listen).await?;
    println!("listening on http://{}", tcp.local_addr()?);
    let listener = BackpressureListener::new(tcp);
    axum::serve(listener, app::app(&work))
        .with_graceful_shutdown(async {
            _ = tokio::signal::ctrl_c().await;
            println!("draining");
        })
        .await?;
    // The handlers have their answers. Jobs that were accepted with a 202 may still be queued.
    let (waiting, running) = (work.waiting(), work.running());
    work.shutdown().await;
    println!("finished {} accepted jobs, and exit", waiting + running);
    Ok(())
}
