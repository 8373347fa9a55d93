//! An ad server under an overload of real HTTP requests, with and without Plimsoll.
//!
//! ```sh
//! cargo run --release -p adserver
//! ```
//!
//! The parts are processes with sockets between them: generator → ad server → store and three
//! bidders. The app to copy from is in `app/`; `settings.rs` has the numbers and their reasons.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the output of this program"
)]

mod app;
mod args;
mod arrival;
mod bidder;
mod cast;
mod figures;
mod generator;
mod phases;
mod proc;
mod report;
mod run;
mod settings;
mod store;
mod tally;
mod trace;
mod wire;

use std::{io, process::ExitCode};

use tokio::runtime::Builder;

use self::{
    args::{Command, Part},
    proc::Commands,
};

fn main() -> ExitCode {
    let command = match args::parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("adserver: {error}\n\n{}", args::help());
            return ExitCode::from(2);
        }
    };
    let result = match command {
        Command::Help => {
            print!("{}", args::help());
            Ok(())
        }
        Command::Main(options) => block_on(1, run::main(options)),
        Command::Part(part) => {
            block_on(threads_of(&part.role), play(part)).map_err(|e| e.to_string())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("adserver: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the number of threads: two for the server, one for the others, which have little to do.
fn threads_of(role: &str) -> usize {
    if role.starts_with("server") { 2 } else { 1 }
}

fn block_on<T>(threads: usize, future: impl Future<Output = T>) -> T {
    let mut builder = if threads == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    let runtime = builder
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("threads can be started");
    let result = runtime.block_on(future);
    // Does not wait for a pending read from standard input.
    runtime.shutdown_background();
    result
}

/// Runs one of the parts until the main process ends.
async fn play(part: Part) -> io::Result<()> {
    let commands = Commands::new();
    match part.role.as_str() {
        "generator" => generator::run(commands).await,
        "store" => store::run(commands).await,
        "bidder" => bidder::run(commands).await,
        "server-bare" | "server-plimsoll" => app::run(part, commands).await,
        role => Err(io::Error::other(format!("no such role: {role}"))),
    }
}
