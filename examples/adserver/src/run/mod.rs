//! The main process: measures the capacity, runs the phases against both servers, and reports.

mod plan;
mod play;
mod serve;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio::signal::unix::{SignalKind, signal};

use self::plan::Plan;
use crate::{
    args::Options,
    figures::{Figures, PhaseFigures, Run, Server},
    proc, report,
    settings::{CLIENT_DEADLINE, STORE_WORKERS},
};

/// Runs the options, and stops at Ctrl-C.
pub(crate) async fn main(options: Options) -> Result<(), String> {
    proc::raise_open_files()?;
    let folder =
        LogFolder::make().map_err(|error| format!("cannot make a folder for logs: {error}"))?;
    let work = async {
        if options.serve {
            serve::serve(&options, &folder.0).await
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

/// The folder of the servers' impression logs. Removed on drop.
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

async fn compare(options: &Options, folder: &Path) -> Result<(), String> {
    let failed = |error| format!("a part failed: {error}");
    let plan = Plan::of(options)?;
    // Fail now rather than after two minutes.
    for path in [Some(&options.report), options.json.as_ref()]
        .into_iter()
        .flatten()
    {
        let file = fs::OpenOptions::new().append(true).create(true).open(path);
        file.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    println!(
        "The store has {STORE_WORKERS} workers, clients give up after {} ms. Measuring the capacity ...",
        CLIENT_DEADLINE.as_millis()
    );
    let capacity = play::capacity(folder, options.seed).await.map_err(failed)?;
    println!("capacity: {capacity:.0} auctions per second\n");

    let mut runs = Vec::new();
    for server in Server::BOTH {
        runs.push(
            play::phases(server, &plan, capacity, folder)
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
        seconds: plan.seconds,
        usual_seconds: plan.usual_seconds,
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
