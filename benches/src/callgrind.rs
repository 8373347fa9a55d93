//! Instruction counts: runs this program again under `valgrind --tool=callgrind`.
//!
//! Each case runs twice in its own process, with different numbers of calls. The difference of the
//! two totals is the exact cost of the calls. Only `counted_calls` is collected, because some
//! start-ups do not repeat: one peer's clock calibrates itself for a variable time.

use std::{
    env, fs, io,
    ops::Sub,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use crate::{
    allocations,
    cases::{self, Case},
    driver::{Driver, Tally},
};

/// The flag that marks the measured process.
pub const MEASURE: &str = "--measure";

/// Calls before the counted ones, so that windows are full and lazy state exists.
const WARM_UP: u64 = 1000;
/// Counted calls in the shorter of the two runs; the longer makes three times as many.
const COUNTED: u64 = 1000;
/// The divisor of both for a slow case.
const SLOW: u64 = 10;

/// The cost of one call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Instructions in user space.
    pub instructions: f64,
    /// Calls of the allocator that allocate memory.
    pub allocations: f64,
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        Self {
            instructions: self.instructions - less.instructions,
            allocations: self.allocations - less.allocations,
        }
    }
}

/// Makes the calls of one case: the only task of the measured process.
///
/// # Errors
///
/// There is no such case, or its calls did not end as named.
pub fn measured(name: &str, calls: u64) -> Result<(), String> {
    let cases = cases::all(name);
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        return Err(format!("there is no case `{name}`"));
    };
    let Some(mut driver) = case.drivers(1).pop() else {
        return Err(format!("`{name}` has no driver"));
    };
    for tally in [
        driver(WARM_UP / if case.slow { SLOW } else { 1 }),
        counted_calls(&mut driver, calls),
    ] {
        if !case.is_right(tally) {
            return Err(format!(
                "not all calls of `{name}` ended as named: {tally:?}"
            ));
        }
    }
    Ok(())
}

/// The part of a run that callgrind collects, selected by the function's name.
#[inline(never)]
fn counted_calls(driver: &mut Driver, calls: u64) -> Tally {
    driver(calls)
}

/// Counts every case, on all cores; the costs are in the order of the cases.
///
/// # Errors
///
/// Valgrind cannot be run, or a measured process failed.
pub fn count(cases: &[Case]) -> io::Result<Vec<Cost>> {
    let folder = Folder::new()?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Relaxed);
            let Some(case) = cases.get(index) else {
                return Ok::<_, io::Error>(done);
            };
            done.push((index, cost(case, &folder)?));
        }
    };
    let mut costs = vec![Cost::default(); cases.len()];
    thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, Into::into);
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            for (index, cost) in worker.join().map_err(|_| failed("a worker panicked"))?? {
                costs[index] = cost;
            }
        }
        Ok(costs)
    })
}

fn cost(case: &Case, folder: &Folder) -> io::Result<Cost> {
    let few = COUNTED / if case.slow { SLOW } else { 1 };
    let before = Totals::read(&profile(case.name, few, folder)?)?;
    let after = Totals::read(&profile(case.name, few * 3, folder)?)?;
    let per_call = |before: u64, after: u64| (after as f64 - before as f64) / (few * 2) as f64;
    Ok(Cost {
        instructions: per_call(before.instructions, after.instructions),
        allocations: per_call(before.allocations, after.allocations),
    })
}

/// The functions in which one case spends its instructions, by `callgrind_annotate`.
///
/// # Errors
///
/// Valgrind cannot be run, or the measured process failed.
pub fn annotate(name: &str) -> io::Result<String> {
    let folder = Folder::new()?;
    let file = folder.file(name, 0);
    run(name, COUNTED, &file)?;
    let annotate = |inclusive: &str| {
        let args = [inclusive, "--auto=no", "--show-percs=yes", "--threshold=99"];
        Command::new("callgrind_annotate")
            .args(args)
            .arg(&file)
            .output()
    };
    let (own, inclusive) = (annotate("--inclusive=no")?, annotate("--inclusive=yes")?);
    let text = |output: process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(format!("{}\n{}", text(own), text(inclusive)))
}

fn profile(name: &str, calls: u64, folder: &Folder) -> io::Result<String> {
    let file = folder.file(name, calls);
    run(name, calls, &file)?;
    fs::read_to_string(&file)
}

fn run(name: &str, calls: u64, file: &Path) -> io::Result<()> {
    let mut out = std::ffi::OsString::from("--callgrind-out-file=");
    out.push(file);
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--quiet",
            "--toggle-collect=*counted_calls*",
        ])
        .arg(out)
        .arg(env::current_exe()?)
        .args([MEASURE, name, &calls.to_string()])
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        Ok(())
    } else {
        let text = String::from_utf8_lossy(&output.stderr);
        Err(failed(&format!(
            "`{name}` under valgrind: {}\n{text}",
            output.status
        )))
    }
}

/// Totals of one run.
struct Totals {
    instructions: u64,
    allocations: u64,
}

impl Totals {
    fn read(profile: &str) -> io::Result<Self> {
        let instructions = profile
            .lines()
            .find_map(|line| line.strip_prefix("totals: "))
            .and_then(|total| total.trim().parse().ok())
            .filter(|total| *total > 0)
            .ok_or_else(|| failed("nothing was collected: was `counted_calls` compiled away?"))?;
        Ok(Self {
            instructions,
            allocations: allocations::in_profile(profile),
        })
    }
}

/// A folder for profiles, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("plimsoll-callgrind-{}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self, case: &str, calls: u64) -> PathBuf {
        self.0
            .join(format!("{}.{calls}", case.replace(['/', '@'], ".")))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn failed(message: &str) -> io::Error {
    io::Error::other(message.to_owned())
}
