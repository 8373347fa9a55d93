//! Watches adaptive limits: prints their windows, records them, and changes their numbers.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use plimsoll_concurrency::{Algorithm, Change, Tuning, Window, WindowSize};
use tokio::time::Instant;

use crate::world;

/// Whether adaptive limits print their windows: `--windows`.
pub(crate) static PRINT_WINDOWS: AtomicBool = AtomicBool::new(false);

/// Where windows are recorded, and when the first began: `--record`.
static RECORD: Mutex<Option<(File, Option<Instant>)>> = Mutex::new(None);

/// The numbers of adaptive limits: `--tune`, and `sensitivity`.
static TUNING: Mutex<Tuning> = Mutex::new(Tuning::DEFAULT);

/// Runs adaptive limits with these numbers from now on.
pub(crate) fn tune(tuning: &Tuning) {
    *TUNING.lock().unwrap_or_else(PoisonError::into_inner) = *tuning;
}

/// The numbers of adaptive limits.
pub(crate) fn tuning() -> Tuning {
    *TUNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records windows and changes in this file from now on. Run one point, on one thread.
pub(crate) fn record(path: &Path) -> io::Result<()> {
    let file = File::create(path)?;
    *RECORD.lock().unwrap_or_else(PoisonError::into_inner) = Some((file, None));
    Ok(())
}

/// An algorithm whose windows are printed and recorded, if that was asked for.
#[derive(Debug)]
pub(super) struct Watched<A>(pub(super) A);

impl<A: Algorithm> Algorithm for Watched<A> {
    fn initial(&self) -> u32 {
        self.0.initial()
    }

    fn window(&self) -> WindowSize {
        self.0.window()
    }

    fn window_after_idle_time(&self) -> WindowSize {
        self.0.window_after_idle_time()
    }

    fn longer_queue(&self) -> f64 {
        self.0.longer_queue()
    }

    fn update(&mut self, window: &Window) -> Change {
        let change = self.0.update(window);
        if PRINT_WINDOWS.load(Relaxed) {
            self.print(window, &change);
        }
        let mut file = RECORD.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((file, began)) = file.as_mut() {
            let start = *began.get_or_insert(window.began);
            let line = recorded(window, &change, self.0.window(), start);
            writeln!(file, "{line}").expect("the recording can be written");
        }
        change
    }
}

impl<A: Algorithm> Watched<A> {
    fn print(&self, w: &Window, change: &Change) {
        let seconds = (w.ended - w.began).as_secs_f64();
        eprintln!(
            "{:8.3} s, answered {:5}, {:9.1}/s, {:8.3} ms, cv {:.2}, in flight {:4} ({:7.1}) of {:4}, without a slot {:6}, rejected {:6}: {:?} {:?} {:?} {:?}",
            world::now() as f64 / 1e9,
            w.answered,
            w.answered as f64 / seconds,
            w.latency.as_secs_f64() * 1e3,
            w.deviation.as_secs_f64() / w.latency.as_secs_f64(),
            w.max_in_flight,
            w.mean_in_flight,
            w.limit,
            w.without_slot,
            w.rejected,
            change.limit,
            change.reason,
            change.queue,
            self.0
        );
    }
}

/// The line of a window: its fields in order, `=>`, and those of the change and the next window's
/// size. Times are in nanoseconds, `-` is `None`.
fn recorded(w: &Window, change: &Change, next: WindowSize, start: Instant) -> String {
    let time = |time: Duration| time.as_nanos();
    let maybe =
        |time: Option<Duration>| time.map_or("-".into(), |time| time.as_nanos().to_string());
    let at = |at: Instant| at.saturating_duration_since(start).as_nanos();
    let (len, wait) = change.queue.map_or((0, 0), |(len, wait)| (len, time(wait)));
    format!(
        "{} {} {} {} {} {} {:?} {:?} {} {} {} {:?} {} {} {} {} {} => {} {} {len} {wait} {} {} {} {}",
        at(w.began),
        at(w.ended),
        time(w.silent),
        w.answered,
        w.dropped,
        w.cancelled,
        w.cancelled_work,
        w.late,
        time(w.latency),
        time(w.deviation),
        w.max_in_flight,
        w.mean_in_flight,
        w.limit,
        w.without_slot,
        w.rejected,
        maybe(w.route_latency),
        maybe(w.deadline_left),
        change.limit,
        change.reason,
        u8::from(change.at_no_load),
        maybe(change.no_load_latency),
        time(next.time),
        next.samples,
    )
}
