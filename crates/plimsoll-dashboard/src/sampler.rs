//! The task that reads all figures once a second.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use plimsoll_metrics::Watcher;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{delta::deltas, event::BoardEvent, reading::Reading, shared::Shared, wall::wall};

/// Time between two readings. The page, the rings and the alerts of a human are made for it.
const PERIOD: Duration = Duration::from_secs(1);

/// Reads until the last clone of the router has been dropped, or the board was closed.
///
/// A reading runs on a thread for blocking work: a figure that blocks delays the board alone.
pub(crate) async fn run(shared: Weak<Shared>) {
    let mut timer = interval(PERIOD);
    // After a pause of the process the seconds that were missed are a gap.
    timer.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let start = Instant::now();
    let mut sampler = Sampler::new(start);
    loop {
        timer.tick().await;
        let Some(shared) = shared.upgrade().filter(|shared| !shared.is_closed()) else {
            return;
        };
        let read = move || {
            sampler.read(&shared);
            sampler
        };
        sampler = match tokio::task::spawn_blocking(read).await {
            Ok(sampler) => sampler,
            // A reading panicked outside of what `plimsoll-metrics` catches.
            Err(_) => Sampler::new(start),
        };
    }
}

/// What one reading leaves for the next.
struct Sampler {
    start: Instant,
    last: Option<(Instant, Arc<Reading>)>,
    /// The number of the last event.
    events: u64,
    watcher: Option<Watcher>,
}

impl Sampler {
    fn new(start: Instant) -> Self {
        Self {
            start,
            last: None,
            events: 0,
            watcher: None,
        }
    }

    fn read(&mut self, shared: &Shared) {
        let began = Instant::now();
        // Finds the changes that no handle reports, and evaluates the alarms. A watcher that the
        // program runs shares its state.
        let watcher = self.watcher.get_or_insert_with(|| shared.metrics.watcher());
        _ = watcher.step(began);
        let snapshot = shared.metrics.snapshot();
        let new = shared.metrics.events(self.events);
        let lost = new
            .first()
            .map_or(0, |event| event.number - self.events - 1);
        self.events = new.last().map_or(self.events, |event| event.number);
        let new: Vec<_> = new
            .iter()
            .map(|event| BoardEvent::of(event, &shared.keys))
            .collect();
        let mut reading = Reading::of(&snapshot, &shared.keys, Vec::new());
        let before = self.last.as_ref().map(|(_, reading)| &**reading);
        let deltas = deltas(&reading, before);
        let seconds = self.last.as_ref().map_or(0.0, |(at, _)| {
            snapshot.at.saturating_duration_since(*at).as_secs_f64()
        });
        let second = snapshot.at.saturating_duration_since(self.start).as_secs();
        shared.own.advance(wall(), began, Vec::new(), |board| {
            board.advance(second, seconds, deltas);
            board.add_events(new);
            board.lost_events += lost;
            board.loads.clone_from(&reading.loads);
            board.overloaded_at = reading.overloaded_at;
            board.failed_readings = reading.failed_readings;
            board.alarms.clone_from(&reading.alarms);
            board.is_ready = reading.is_ready;
            reading.events = board.events.iter().cloned().collect();
        });
        let reading = Arc::new(reading);
        shared.publish(Arc::clone(&reading));
        self.last = Some((snapshot.at, reading));
    }
}
