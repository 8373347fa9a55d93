//! What is found by comparing figures over time: changes, alarms, and their delivery.

use std::{convert::Infallible, fmt, time::Duration};

use tokio::{
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{Metrics, alarm::Readings, turn::Turn};

/// Interval of the steps of [`Watcher::run`]: what people see as at once, and 1,024 events then last
/// for 17 minutes at one event a second.
const EVERY: Duration = Duration::from_secs(1);

/// Steps through the figures of a registry: finds changes, evaluates alarms, notifies subscribers.
///
/// Made by [`Metrics::watcher`]. Without one, events of policies that report their changes (the
/// limit of requests in flight, circuit breakers) are still in the log; changes that have to be found
/// are not, no alarm is raised, and no subscriber is called. All watchers of a registry share one
/// state, so several are equivalent to one.
///
/// A step does these in turn:
///
/// 1. reads all load signals, for [`Metrics::health`];
/// 2. reads the figures of all gates, policies and parts once;
/// 3. adds changes to the log: states, limits and rates that differ by more than a fifth, a threshold
///    that crosses a criticality, a queue that stays above 80 %, settings that were changed by hand;
/// 4. evaluates the [alarms](crate::Alarm);
/// 5. passes new events to `tracing` (feature `tracing`) and to
///    [subscribers](Metrics::on_event), in order.
///
/// No lock is held while code of the program runs: readings, callbacks, subscribers. What blocks
/// there delays the watcher, and no request.
#[derive(Clone)]
pub struct Watcher {
    metrics: Metrics,
}

impl Metrics {
    /// Returns the watcher of this registry, which the program runs.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let metrics = plimsoll_metrics::Metrics::new();
    /// let watcher = metrics.watcher();
    /// // Aborted, or ended with the runtime.
    /// let task = tokio::spawn(async move { watcher.run().await });
    /// # task.abort();
    /// # }
    /// ```
    pub fn watcher(&self) -> Watcher {
        Watcher {
            metrics: self.clone(),
        }
    }
}

impl Watcher {
    /// Runs a [step](Self::step) each second. It never ends.
    ///
    /// Each step runs on tokio's pool for blocking work (`spawn_blocking`), and the next one begins
    /// after it has ended: a reading or a subscriber that blocks holds one thread of that pool, and
    /// no thread that serves requests. Late steps are not made up for.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime. Panics of readings, callbacks and subscribers are caught.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the watching; a step that has begun continues to its end.
    pub async fn run(self) -> Infallible {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            let watcher = self.clone();
            // An error is a step that panicked, or a runtime that shuts down.
            _ = spawn_blocking(move || watcher.step(now)).await;
        }
    }

    /// Runs one step at `now`, and returns whether it did.
    ///
    /// It does nothing while another step runs, on any thread: also when a callback of a step calls
    /// it. For programs with a loop of their own, on a thread that may block.
    pub fn step(&self, now: Instant) -> bool {
        let inner = &self.metrics.0;
        let Some(mut turn) = Turn::take(&inner.watching) else {
            return false;
        };
        // A health check uses these of slow signals.
        _ = self.metrics.loads();
        let readings = self.read(now);
        inner.alarms.evaluate(&readings, &inner.events, now);
        #[cfg(feature = "tracing")]
        turn.state.rejections.report(&readings, now);
        turn.state.delivered = inner.events.deliver(turn.state.delivered, |event| {
            #[cfg(feature = "tracing")]
            crate::trace::event(event);
            _ = event;
        });
        true
    }

    fn read(&self, now: Instant) -> Readings {
        let mut readings = Readings::default();
        for gate in self.metrics.gates() {
            for entry in gate.watched().all().iter() {
                let policy = entry.step(now).map(|read| (gate.name().to_owned(), read));
                readings.policies.extend(policy);
            }
            readings.gates.push((gate.name().to_owned(), gate.counts()));
        }
        for entry in self.metrics.0.parts.all().iter() {
            let part = entry
                .step(now)
                .map(|read| (entry.reporter.gate.clone(), read));
            readings.policies.extend(part);
        }
        readings
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}
