//! The settings of an alarm.

use std::{fmt, sync::Arc, time::Duration};

use plimsoll_core::{Criticality, LoadSignal, alarm::Marks, support::Callbacks};
use tokio::time::Instant;

use super::measure::Measure;
use crate::InvalidMetric;

/// Bytes of the name of an alarm: it is a label.
const MAX_NAME: usize = 128;
/// The windows over which shares are taken.
const WINDOWS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);

/// An alarm: what is measured, when it is raised, and when it is cleared.
///
/// Registered by [`Metrics::alarm`](crate::Metrics::alarm), and evaluated in each step of the
/// [`Watcher`](crate::Watcher), for each gate and policy that has the figures. Each of them has a
/// state of its own. A change is an [event](crate::Metrics::events), calls the
/// [callbacks](Self::on_change), and sets the gauge `plimsoll_alarm` to 1 or 0.
///
/// | alarm | value | raised above | cleared below | lasting |
/// |---|---|---|---|---|
/// | [`saturation`](Self::saturation) | use of a limit or a queue | 0.8 | 0.6 | 10 s |
/// | [`breaker_open`](Self::breaker_open) | 1 while a breaker rejects | 0.5 | 0.5 | 0 s |
/// | [`budget_empty`](Self::budget_empty) | 1 while no retry is allowed | 0.5 | 0.5 | 5 s |
/// | [`rejections`](Self::rejections) | share of requests that a gate rejected | 0.05 | 0.01 | 10 s |
/// | [`drops`](Self::drops) | share of items that a queue lost | 0.01 | 0.001 | 10 s |
/// | [`shedding`](Self::shedding) | share of a criticality that was shed | 0.01 | 0.001 | 10 s |
/// | [`load`](Self::load) | a load signal | 0.8 | 0.6 | 10 s |
///
/// ```
/// use std::time::Duration;
///
/// use plimsoll_core::Criticality;
/// use plimsoll_metrics::{Alarm, Metrics};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), plimsoll_metrics::InvalidMetric> {
/// let metrics = Metrics::new();
/// metrics.alarm(Alarm::saturation())?;
/// metrics.alarm(Alarm::breaker_open().on_change(|change| {
///     let word = if change.raised { "open" } else { "closed again" };
///     println!("breaker of {} is {word}", change.gate);
/// }))?;
/// metrics.alarm(Alarm::shedding(Criticality::Critical).lasting(Duration::from_secs(30)))?;
/// // Without a watcher no alarm is evaluated.
/// let task = tokio::spawn(metrics.watcher().run());
/// # task.abort();
/// # Ok(()) }
/// ```
#[must_use = "an alarm does nothing until it is registered"]
pub struct Alarm {
    pub(super) name: String,
    pub(super) measure: Measure,
    pub(super) marks: Marks,
    pub(super) window: Duration,
    pub(super) at_least: u64,
    pub(super) callbacks: Callbacks<dyn Fn(&AlarmChange<'_>) + Send + Sync>,
}

/// A change of an alarm, as passed to callbacks.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AlarmChange<'a> {
    /// The name of the alarm.
    pub alarm: &'a str,
    /// The gate, or the name of a part or of a load signal.
    pub gate: &'a str,
    /// The policy; empty for an alarm about a whole gate.
    pub policy: &'a str,
    /// Whether the alarm was raised, and not cleared.
    pub raised: bool,
    /// The value that was measured last. 0 when what was measured is no longer there.
    pub value: f64,
    /// The time of the step that made the change.
    pub at: Instant,
}

impl Alarm {
    fn new(name: &str, measure: Measure, high: f64, low: f64, seconds: u64) -> Self {
        Self {
            name: name.to_owned(),
            measure,
            marks: Marks {
                high,
                low,
                after: Duration::from_secs(seconds),
            },
            window: Duration::from_secs(60),
            at_least: 20,
            callbacks: Callbacks::default(),
        }
    }

    /// `saturation`: the larger of requests in flight to the limit, and queued requests to the
    /// places of the queue.
    pub fn saturation() -> Self {
        Self::new("saturation", Measure::Saturation, 0.8, 0.6, 10)
    }

    /// `breaker_open`: 1 while a breaker is open, forced open or half-open; of a breaker per key,
    /// while that of any key is.
    pub fn breaker_open() -> Self {
        Self::new("breaker_open", Measure::BreakerOpen, 0.5, 0.5, 0)
    }

    /// `budget_empty`: 1 while a retry budget allows no retry.
    pub fn budget_empty() -> Self {
        Self::new("budget_empty", Measure::BudgetEmpty, 0.5, 0.5, 5)
    }

    /// `rejections`: the share of requests that a gate rejected, in the last
    /// [window](Self::over).
    pub fn rejections() -> Self {
        Self::new("rejections", Measure::Rejections, 0.05, 0.01, 10)
    }

    /// `drops`: the share of items that a queue took and lost, in the last [window](Self::over).
    pub fn drops() -> Self {
        Self::new("drops", Measure::Drops, 0.01, 0.001, 10)
    }

    /// `shedding_critical` and so on: the share of requests of this criticality that a policy shed,
    /// in the last [window](Self::over).
    pub fn shedding(criticality: Criticality) -> Self {
        let name = format!("shedding_{}", criticality.as_str().to_ascii_lowercase());
        Self::new(&name, Measure::Shedding(criticality), 0.01, 0.001, 10)
    }

    /// The load of a signal, under this name. It is read in each step, and must not block.
    pub fn load(name: &str, signal: impl LoadSignal + Send + Sync + 'static) -> Self {
        Self::new(name, Measure::Load(Arc::new(signal)), 0.8, 0.6, 10)
    }

    /// Sets the name: the label `alarm`, and the policy of the events. Two alarms have different
    /// names.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Sets the value above which the alarm is raised.
    pub fn raise_above(mut self, value: f64) -> Self {
        self.marks.high = value;
        self
    }

    /// Sets the value below which the alarm is cleared: at most that above which it is raised.
    pub fn clear_below(mut self, value: f64) -> Self {
        self.marks.low = value;
        self
    }

    /// Sets for how long the value must be above [`raise_above`](Self::raise_above), in each step.
    /// Zero raises the alarm in the first step with such a value.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.marks.after = time;
        self
    }

    /// Sets the window over which shares are taken, 1 second to 1 hour. Default: 1 minute. No effect
    /// on alarms whose value is no share of counts.
    pub fn over(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Sets how many requests or items the window must have; with fewer the share is 0. Default: 20.
    pub fn at_least(mut self, count: u64) -> Self {
        self.at_least = count;
        self
    }

    /// Adds a callback for changes. It runs in the step of the watcher, without a lock; a panic in it
    /// is caught, and one that blocks delays the watcher and no request.
    pub fn on_change(self, callback: impl Fn(&AlarmChange<'_>) + Send + Sync + 'static) -> Self {
        self.callbacks.add(Arc::new(callback));
        self
    }

    pub(super) fn check(&self) -> Result<(), InvalidMetric> {
        let Marks { high, low, .. } = self.marks;
        let alarm = || self.name.chars().take(MAX_NAME).collect::<String>();
        if self.name.is_empty() || self.name.len() > MAX_NAME {
            return Err(InvalidMetric::AlarmName {
                bytes: self.name.len(),
            });
        }
        // Written so that NaN fails.
        if !(high.is_finite() && high > 0.0 && low > 0.0 && low <= high) {
            let alarm = alarm();
            return Err(InvalidMetric::AlarmLevels { alarm, high, low });
        }
        if !WINDOWS.contains(&self.window) {
            let (alarm, window) = (alarm(), self.window);
            return Err(InvalidMetric::AlarmWindow { alarm, window });
        }
        Ok(())
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm")
            .field("name", &self.name)
            .field("marks", &self.marks)
            .finish_non_exhaustive()
    }
}
