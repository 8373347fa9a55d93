//! The controllers that are compared.

use std::time::Duration;

use plimsoll_core::{Class, Criticality, LoadSignal, Outcome, Policy, Priority, policy::Verdict};
use plimsoll_load_shed::{AdaptiveShed, AdaptiveShedHandle, QueueDelay};
use tokio::time::Instant;

use super::lab::Shed;

/// DAGOR's objective for the queueing delay, for both textbook forms. `AdaptiveShed` measures its
/// own.
pub const OBJECTIVE: Duration = Duration::from_millis(20);

type ByItself = fn(&Priority) -> Priority;

/// `AdaptiveShed` as published here.
pub struct Adaptive {
    delay: QueueDelay,
    shed: AdaptiveShed<QueueDelay, ByItself>,
    handle: AdaptiveShedHandle<QueueDelay>,
}

impl Adaptive {
    pub fn new() -> Self {
        let delay = QueueDelay::relative();
        let shed = AdaptiveShed::new(delay.clone()).priorities((|priority| *priority) as ByItself);
        let handle = shed.handle();
        Self {
            delay,
            shed,
            handle,
        }
    }

    /// Announces the threshold to callers.
    pub fn told(self) -> Self {
        Self {
            shed: self.shed.announce_threshold(),
            ..self
        }
    }
}

impl Shed for Adaptive {
    fn admit(&mut self, mut priority: Priority, now: Instant) -> bool {
        matches!(self.shed.admit(&mut priority, now), Verdict::Admit(_))
    }
    fn starts(&mut self, waited: Duration, runs: Duration, now: Instant) {
        self.delay.record_run(runs);
        self.delay.record(waited, now);
    }
    fn ends(&mut self, now: Instant) {
        let outcome = Outcome::new(Class::Success, Duration::ZERO, now);
        Policy::<Priority>::finish(&self.shed, Criticality::Critical, &outcome);
    }
    fn threshold(&self) -> u16 {
        self.handle.threshold()
    }
}

/// Admits everything.
pub struct Nothing;

impl Shed for Nothing {
    fn admit(&mut self, _: Priority, _: Instant) -> bool {
        true
    }
    fn starts(&mut self, _: Duration, _: Duration, _: Instant) {}
    fn ends(&mut self, _: Instant) {}
    fn threshold(&self) -> u16 {
        0
    }
}

/// The counting window of the textbook forms.
struct Counts {
    opened: Option<Instant>,
    arrived: [u32; 512],
    admitted: u32,
}

impl Counts {
    fn new() -> Self {
        Self {
            opened: None,
            arrived: [0; 512],
            admitted: 0,
        }
    }

    fn total(&self) -> u32 {
        self.arrived.iter().sum()
    }

    /// The lowest threshold at which at most `wanted` of the requests that arrived are admitted.
    fn threshold(&self, wanted: f64) -> u16 {
        let mut left = wanted;
        for (level, count) in self.arrived.iter().enumerate().rev() {
            left -= f64::from(*count);
            if left < 0.0 {
                return (level + 1).min(511) as u16;
            }
        }
        0
    }
}

/// DAGOR (`SoCC` 2018): a window of 1 s or 2,000 requests; then 5 % fewer than admitted, or 1 % of
/// the arrivals more.
pub struct Dagor {
    counts: Counts,
    threshold: u16,
    waited: (f64, u32),
}

impl Dagor {
    pub fn new() -> Self {
        Self {
            counts: Counts::new(),
            threshold: 0,
            waited: (0.0, 0),
        }
    }
}

impl Shed for Dagor {
    fn admit(&mut self, priority: Priority, now: Instant) -> bool {
        let total = self.counts.total();
        let opened = *self.counts.opened.get_or_insert(now);
        if now - opened >= Duration::from_secs(1) || total >= 2000 {
            let admitted = f64::from(self.counts.admitted);
            let mean = self.waited.0 / f64::from(self.waited.1.max(1));
            let wanted = if mean > OBJECTIVE.as_secs_f64() {
                0.95 * admitted
            } else {
                admitted + 0.01 * f64::from(total)
            };
            self.threshold = self.counts.threshold(wanted);
            *self = Self {
                threshold: self.threshold,
                ..Self::new()
            };
            self.counts.opened = Some(now);
        }
        self.counts.arrived[usize::from(priority.level())] += 1;
        let admits = priority.level() >= self.threshold;
        self.counts.admitted += u32::from(admits);
        admits
    }
    fn starts(&mut self, waited: Duration, _: Duration, _: Instant) {
        self.waited.0 += waited.as_secs_f64();
        self.waited.1 += 1;
    }
    fn ends(&mut self, _: Instant) {}
    fn threshold(&self) -> u16 {
        self.threshold
    }
}

/// A PI controller with Cinnamon's published gains, on the relative error of the delay, every 100
/// ms.
pub struct Pi {
    delay: QueueDelay,
    counts: Counts,
    integral: f64,
    threshold: u16,
}

impl Pi {
    pub fn new() -> Result<Self, plimsoll_load_shed::InvalidQueueDelay> {
        Ok(Self {
            delay: QueueDelay::mean(OBJECTIVE)?,
            counts: Counts::new(),
            integral: 0.0,
            threshold: 0,
        })
    }
}

impl Shed for Pi {
    fn admit(&mut self, priority: Priority, now: Instant) -> bool {
        let opened = *self.counts.opened.get_or_insert(now);
        let length = now - opened;
        if length >= Duration::from_millis(100) {
            let error = (self.delay.load() - 1.0).clamp(-1.0, 1.0);
            self.integral = (self.integral + 1.4 * error * length.as_secs_f64()).clamp(0.0, 0.995);
            let share = (self.integral + 0.1 * error).clamp(0.0, 0.995);
            let total = f64::from(self.counts.total());
            self.threshold = self.counts.threshold((1.0 - share) * total);
            self.counts = Counts {
                opened: Some(now),
                ..Counts::new()
            };
        }
        self.counts.arrived[usize::from(priority.level())] += 1;
        priority.level() >= self.threshold
    }
    fn starts(&mut self, waited: Duration, _: Duration, now: Instant) {
        self.delay.record(waited, now);
    }
    fn ends(&mut self, _: Instant) {}
    fn threshold(&self) -> u16 {
        self.threshold
    }
}
