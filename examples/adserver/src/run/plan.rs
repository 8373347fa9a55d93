//! The plan of a run: the phases, or a recording.

use std::path::{Path, PathBuf};

use crate::{
    args::Options,
    cast::Cast,
    phases::{self, Phase},
    settings::CLIENT_DEADLINE,
    tally::{Load, Schedule},
    trace,
};

/// The length of a phase, in seconds.
const PHASE_SECONDS: f64 = 6.0;
/// The length of a replay, in seconds.
const REPLAY_SECONDS: f64 = 30.0;

/// The loads of a run, the same for both servers.
pub(super) struct Plan {
    pub(super) title: String,
    pub(super) phases: Vec<Phase>,
    pub(super) seconds: f64,
    /// The length of a phase when no option sets it.
    pub(super) usual_seconds: f64,
    pub(super) seed: u64,
    /// The file and the speed of a recording, in place of random arrivals.
    trace: Option<(PathBuf, f64)>,
}

impl Plan {
    pub(super) fn of(options: &Options) -> Result<Self, String> {
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
            title: "An ad server under overload".to_owned(),
            phases,
            seconds: options.seconds.unwrap_or(usual),
            usual_seconds: usual,
            seed: options.seed,
            trace: None,
        };
        if let Some(file) = &options.trace {
            plan.replay(file, options.speed)?;
        }
        Ok(plan)
    }

    /// Reads the trace once, to describe it and to compute the speed.
    fn replay(&mut self, file: &Path, speed: Option<f64>) -> Result<(), String> {
        let trace = trace::read(file, self.seed).map_err(|e| format!("{}: {e}", file.display()))?;
        let clients = match trace.clients {
            0 => String::new(),
            clients => format!(" from {clients} clients"),
        };
        println!(
            "{}: {} arrivals{clients} in {:.0} s",
            file.display(),
            trace.len(),
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
        // Slightly less than the length, so that the last arrival is included.
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

    pub(super) fn load(&self, phase: &Phase, number: usize, capacity: f64, cast: &Cast) -> Load {
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
            // The same for both servers and different for each phase. A trace keeps the seed that it was
            // described with.
            seed: if self.trace.is_some() {
                self.seed
            } else {
                self.seed.wrapping_mul(1_000) + number as u64
            },
        }
    }
}
