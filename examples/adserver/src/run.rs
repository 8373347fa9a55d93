//! The main process: measures the capacity, plays the phases against both servers, and reports.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::Options,
    cast::Cast,
    figures::{Figures, PhaseFigures, Run, Second, Server},
    phases::{self, Phase},
    proc, report,
    settings::{CLIENT_DEADLINE, STORE_WORKERS, nominal_capacity},
    tally::{Load, Schedule},
    trace,
};

/// The length of a phase, in seconds.
const PHASE_SECONDS: f64 = 6.0;
/// The length of a replay, in seconds.
const REPLAY_SECONDS: f64 = 30.0;

/// How often a void phase is played again, in each server's run: something else may want the processor now and then.
const REPEATS: u32 = 2;

/// Does what the options say, or stops at Ctrl-C.
pub(crate) async fn main(options: Options) -> Result<(), String> {
    proc::raise_open_files()?;
    let folder =
        LogFolder::make().map_err(|error| format!("cannot make a folder for logs: {error}"))?;
    let work = async {
        if options.serve {
            serve(&folder.0).await
        } else {
            compare(&options, &folder.0).await
        }
    };
    let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        result = work => return result,
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
    println!("\nstopped");
    Ok(())
}

/// Where the servers' impression logs go. Removed at the end.
struct LogFolder(PathBuf);

impl LogFolder {
    fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("adserver-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for LogFolder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

async fn serve(folder: &Path) -> Result<(), String> {
    let failed = |error| format!("a part failed: {error}");
    let role = Server::Plimsoll.role();
    let cast = Cast::start(role, nominal_capacity(), folder)
        .await
        .map_err(failed)?;
    let target = cast.target;
    println!("serving at http://{target} until Ctrl-C; try:");
    println!("  curl -i -X POST -H 'x-publisher: me' http://{target}/auction");
    println!(
        "  curl -i -X POST -d 'seen' -H 'x-criticality: CRITICAL_PLUS' http://{target}/impression"
    );
    println!("  curl http://{target}/metrics");
    println!("  curl -i http://{target}/health/load");
    // The caller waits for Ctrl-C; `cast` has to live until then.
    let () = std::future::pending().await;
    drop(cast);
    Ok(())
}

async fn compare(options: &Options, folder: &Path) -> Result<(), String> {
    let failed = |error| format!("a part failed: {error}");
    let plan = Plan::of(options)?;
    // Rather now than after two minutes.
    for path in [Some(&options.report), options.json.as_ref()]
        .into_iter()
        .flatten()
    {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        file.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    println!(
        "The store has {STORE_WORKERS} workers, clients give up after {} ms. Measuring what the app can do ...",
        CLIENT_DEADLINE.as_millis()
    );
    let capacity = capacity(folder, options.seed).await.map_err(failed)?;
    println!("capacity: {capacity:.0} auctions a second\n");

    let mut runs = Vec::new();
    for server in Server::BOTH {
        runs.push(
            play(server, &plan, capacity, folder)
                .await
                .map_err(failed)?,
        );
        println!();
    }
    let [plimsoll, bare] =
        <[Vec<Run>; 2]>::try_from(runs).map_err(|_| "a run is missing".to_owned())?;
    let phases = plan.phases.iter().zip(plimsoll.into_iter().zip(bare));
    let phases = phases.map(|(phase, (plimsoll, bare))| {
        let name = phase.name.to_owned();
        PhaseFigures {
            name,
            plimsoll,
            bare,
        }
    });
    let figures = Figures {
        capacity,
        title: plan.title,
        phases: phases.collect(),
    };

    println!("{}", report::table(&figures));
    let write = |path: &Path, text: String| {
        fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    };
    write(&options.report, report::html(&figures))?;
    println!("curves: {}", options.report.display());
    if let Some(path) = &options.json {
        write(path, report::json(&figures))?;
    }
    Ok(())
}

/// What is played, against both servers alike.
struct Plan {
    title: String,
    phases: Vec<Phase>,
    seconds: f64,
    seed: u64,
    /// Replays this instead of made-up arrivals.
    trace: Option<(PathBuf, f64)>,
}

impl Plan {
    fn of(options: &Options) -> Result<Self, String> {
        let phases = match (&options.trace, &options.phases) {
            (None, None) => phases::all(),
            (None, Some(names)) => phases::named(names)?,
            (Some(_), _) => vec![phases::replay()],
        };
        let usual = if options.trace.is_some() {
            REPLAY_SECONDS
        } else {
            PHASE_SECONDS
        };
        let mut plan = Self {
            title: "The storm".to_owned(),
            phases,
            seconds: options.seconds.unwrap_or(usual),
            seed: options.seed,
            trace: None,
        };
        if let Some(file) = &options.trace {
            plan.replay(file, options.speed)?;
        }
        Ok(plan)
    }

    /// Reads the trace once here, to say what is in it and to find the speed.
    fn replay(&mut self, file: &Path, speed: Option<f64>) -> Result<(), String> {
        let trace = trace::read(file, self.seed).map_err(|e| format!("{}: {e}", file.display()))?;
        println!(
            "{}: {} arrivals from {} clients in {:.0} s",
            file.display(),
            trace.len(),
            trace.clients,
            trace.duration()
        );
        if let Some(line) = trace.first_malformed {
            println!(
                "  {} malformed lines left out, the first is line {line}",
                trace.malformed
            );
        }
        if trace.left_out > 0 {
            println!(
                "  {} lines left out, the recording is too long",
                trace.left_out
            );
        }
        // A little less, so that the last arrival is inside.
        let speed =
            speed.unwrap_or((trace.duration() / (self.seconds * 0.999)).max(f64::MIN_POSITIVE));
        let arrivals = trace.replay(speed, self.seconds).len();
        println!(
            "  at {speed:.1} times its speed, {arrivals} of them are due in {:.0} s",
            self.seconds
        );
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.title = format!("{name} at {speed:.1} times its speed");
        self.trace = Some((file.to_owned(), speed));
        Ok(())
    }

    fn load(&self, phase: &Phase, number: usize, capacity: f64, cast: &Cast) -> Load {
        let schedule = match &self.trace {
            Some((file, speed)) => Schedule::Trace {
                file: file.clone(),
                speed: *speed,
            },
            None => Schedule::Poisson {
                rate: phase.load * capacity,
            },
        };
        Load {
            target: cast.target,
            schedule,
            seconds: self.seconds * phase.length,
            deadline_ms: CLIENT_DEADLINE.as_millis() as u64,
            // The same for both servers, another for each phase; a trace is spread as it was when it was announced.
            seed: if self.trace.is_some() {
                self.seed
            } else {
                self.seed.wrapping_mul(1_000) + number as u64
            },
        }
    }
}

/// The most auctions a second that the bare app answers: more and more clients, each of which waits for its answer,
/// until more clients do not mean more answers.
async fn capacity(folder: &Path, seed: u64) -> io::Result<f64> {
    let mut cast = Cast::start(Server::Bare.role(), nominal_capacity(), folder).await?;
    let mut best = 0.0_f64;
    for clients in (1..=6).map(|times| times * STORE_WORKERS) {
        let load = Load {
            target: cast.target,
            schedule: Schedule::Closed { clients },
            // The first second warms up, the others count.
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
            "  {clients:3} clients: {rate:.0} a second, p50 {:.0} ms",
            run.total.p50_ms
        );
        if rate < best * 1.03 {
            return Ok(best.max(rate));
        }
        best = rate;
    }
    Ok(best)
}

/// All phases against one server, everything fresh.
async fn play(server: Server, plan: &Plan, capacity: f64, folder: &Path) -> io::Result<Vec<Run>> {
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
            // An aftermath cannot be had again.
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

/// One line a second, for whoever watches.
fn progress(server: Server, phase: &Phase, number: u32, capacity: f64, second: &Second) {
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
