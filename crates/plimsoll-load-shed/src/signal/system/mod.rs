//! The load of the machine, or of the part of it that the process may use.

mod files;
mod parse;
mod sample;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use plimsoll_core::LoadSignal;
use tokio::time::Instant;

use self::sample::{Sample, Sampler};
use crate::InvalidSystemLoad;

const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);

/// The setters of the objectives, in the order of their parts.
const FIELDS: [&str; 4] = ["cpu", "memory", "cpu_pressure", "memory_pressure"];
const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);

/// Processors, memory and pressure, each over an objective; the load is the highest of them. Linux
/// only.
///
/// Clones share one thread.
///
/// | objective | what is 1 | read from |
/// |---|---|---|
/// | [`cpu`](SystemLoadBuilder::cpu) | this share of the processors that the control group may use is busy | `cpu.stat` over `cpu.max`, or `/proc/stat` |
/// | [`memory`](SystemLoadBuilder::memory) | this share of its memory limit is in use | `memory.current` less `inactive_file` over `memory.max`, or `/proc/meminfo` |
/// | [`cpu_pressure`](SystemLoadBuilder::cpu_pressure) | in this share of ten seconds a task waited for a processor | `cpu.pressure`, or `/proc/pressure/cpu` |
/// | [`memory_pressure`](SystemLoadBuilder::memory_pressure) | in this share of ten seconds a task waited for memory | `memory.pressure`, or `/proc/pressure/memory` |
///
/// The control groups are that of the process (version 2) and its ancestors: the group nearest to
/// its limit counts. Without any limit the machine is measured. A value without an objective is not
/// part of the load.
///
/// [`start`](SystemLoadBuilder::start) starts **one thread**, which reads the files every half
/// second, outside of any request. It ends when the last clone is dropped. A missing file makes its
/// value `None`, not 0, in [`cpu`](Self::cpu) and the others. A file that cannot be read or parsed
/// does the same, and is counted in [`misses`](Self::misses).
///
/// The values lag by the interval, pressures by seconds, and they show nothing of handlers that
/// wait: use it as a second signal beside a [`QueueDelay`](crate::QueueDelay). If an autoscaler
/// targets CPU usage, set the objective above its target; shedding below the target would hide the
/// load from the autoscaler.
///
/// ```
/// use plimsoll_load_shed::{LoadShed, SystemLoad};
///
/// # fn main() -> Result<(), plimsoll_load_shed::InvalidSystemLoad> {
/// let system = SystemLoad::builder().cpu(0.9).memory(0.9).cpu_pressure(0.4).start()?;
/// let shed = LoadShed::new(system.clone());
/// # _ = shed;
/// # Ok(())
/// # }
/// ```
#[doc(alias("CPU", "memory", "PSI"))]
#[derive(Debug, Clone)]
pub struct SystemLoad(Arc<Inner>);

/// The thread ends when the sender is dropped.
#[derive(Debug)]
struct Inner {
    figures: Arc<Figures>,
    _thread: mpsc::Sender<()>,
}

/// Bits of floats; NaN stands for `None`.
#[derive(Debug)]
struct Figures {
    load: AtomicU64,
    shares: [AtomicU64; 4],
    misses: AtomicU64,
}

/// Objectives and interval of a [`SystemLoad`] that has not been started.
#[derive(Debug, Clone)]
#[must_use = "nothing is sampled until `start`"]
pub struct SystemLoadBuilder {
    /// Processors, memory, and the pressure on each.
    objectives: [Option<f64>; 4],
    interval: Duration,
}

impl SystemLoad {
    /// A builder without objectives.
    pub fn builder() -> SystemLoadBuilder {
        SystemLoadBuilder {
            objectives: [None; 4],
            interval: DEFAULT_INTERVAL,
        }
    }

    /// The share of the processors in use in the last interval. It may slightly exceed 1.
    pub fn cpu(&self) -> Option<f64> {
        self.share(0)
    }

    /// The share of the memory in use, as last read.
    pub fn memory(&self) -> Option<f64> {
        self.share(1)
    }

    /// The share of the last ten seconds in which a task waited for a processor.
    pub fn cpu_pressure(&self) -> Option<f64> {
        self.share(2)
    }

    /// The share of the last ten seconds in which a task waited for memory.
    pub fn memory_pressure(&self) -> Option<f64> {
        self.share(3)
    }

    /// The number of files that existed and could not be read or parsed.
    pub fn misses(&self) -> u64 {
        self.0.figures.misses.load(Relaxed)
    }

    fn share(&self, part: usize) -> Option<f64> {
        let share = f64::from_bits(self.0.figures.shares[part].load(Relaxed));
        (!share.is_nan()).then_some(share)
    }
}

impl SystemLoadBuilder {
    /// Sets the share of the processors in use that is a load of 1: above 0, at most 1.
    pub const fn cpu(self, share: f64) -> Self {
        self.objective(0, share)
    }

    /// Sets the share of the memory in use that is a load of 1: above 0, at most 1.
    pub const fn memory(self, share: f64) -> Self {
        self.objective(1, share)
    }

    /// Sets the share of ten seconds in which a task waits for a processor that is a load of 1:
    /// above 0, at most 1.
    pub const fn cpu_pressure(self, share: f64) -> Self {
        self.objective(2, share)
    }

    /// Sets the share of ten seconds in which a task waits for memory that is a load of 1: above 0,
    /// at most 1.
    pub const fn memory_pressure(self, share: f64) -> Self {
        self.objective(3, share)
    }

    /// Sets how often the files are read: every 10 ms to 1 minute. Default: 500 ms.
    pub const fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Starts the thread that samples. The first values exist after one interval.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound; or that the operating system cannot
    /// start the thread.
    pub fn start(self) -> Result<SystemLoad, InvalidSystemLoad> {
        self.start_below("/".as_ref())
    }

    const fn objective(mut self, part: usize, share: f64) -> Self {
        self.objectives[part] = Some(share);
        self
    }

    fn check(&self) -> Result<(), InvalidSystemLoad> {
        for (field, share) in FIELDS.into_iter().zip(self.objectives) {
            let value = share.unwrap_or(1.0);
            if !(value > 0.0 && value <= 1.0) {
                return Err(InvalidSystemLoad::Share { field, value });
            }
        }
        if INTERVALS.contains(&self.interval) {
            Ok(())
        } else {
            Err(InvalidSystemLoad::Interval(self.interval))
        }
    }

    fn start_below(self, root: &Path) -> Result<SystemLoad, InvalidSystemLoad> {
        self.check()?;
        let figures = Arc::new(Figures::new());
        let (until, over) = mpsc::channel();
        let (shown, root) = (Arc::clone(&figures), root.to_path_buf());
        let run = move || {
            let mut sampler = Sampler::new(&root);
            let mut last = Instant::now();
            while over.recv_timeout(self.interval) == Err(RecvTimeoutError::Timeout) {
                let now = Instant::now();
                let sample = sampler.sample(now.saturating_duration_since(last));
                last = now;
                shown.show(&sample, &self.objectives, sampler.misses.0);
            }
        };
        let thread = thread::Builder::new().name("plimsoll-system".into());
        thread
            .spawn(run)
            .map_err(|error| InvalidSystemLoad::NoThread(error.kind()))?;
        Ok(SystemLoad(Arc::new(Inner {
            figures,
            _thread: until,
        })))
    }
}

impl Figures {
    fn new() -> Self {
        Self {
            load: AtomicU64::new(0),
            shares: std::array::from_fn(|_| AtomicU64::new(f64::NAN.to_bits())),
            misses: AtomicU64::new(0),
        }
    }

    fn show(&self, sample: &Sample, objectives: &[Option<f64>; 4], misses: u64) {
        let parts = [
            sample.cpu,
            sample.memory,
            sample.cpu_pressure,
            sample.memory_pressure,
        ];
        let mut load: f64 = 0.0;
        for ((part, objective), shown) in parts.into_iter().zip(objectives).zip(&self.shares) {
            shown.store(part.unwrap_or(f64::NAN).to_bits(), Relaxed);
            if let (Some(share), Some(objective)) = (part, objective) {
                load = load.max(share / objective);
            }
        }
        self.load.store(load.to_bits(), Relaxed);
        self.misses.store(misses, Relaxed);
    }
}

impl LoadSignal for SystemLoad {
    #[inline]
    fn load(&self) -> f64 {
        f64::from_bits(self.0.figures.load.load(Relaxed))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_worst_part_over_its_objective_is_the_load() {
        let figures = Figures::new();
        let sample = Sample {
            cpu: Some(0.45),
            memory: Some(0.5),
            cpu_pressure: None,
            memory_pressure: Some(1.0),
        };
        figures.show(&sample, &[Some(0.9), Some(0.25), Some(0.1), None], 0);
        assert!((f64::from_bits(figures.load.load(Relaxed)) - 2.0).abs() < f64::EPSILON);
    }
}
