//! The default: a limit that finds itself.

mod gain;
mod seen;
mod settings;

use std::time::Duration;

use tokio::time::Instant;

use self::{gain::Gain, seen::Seen, settings::Settings};
use super::{Algorithm, Because, Change, Window, WindowSize};

/// wip
#[derive(Debug)]
pub struct Adaptive {
    settings: Settings,
    limit: f64,
    phase: Phase,
    size: WindowSize,
    /// What the service gets done in a second when it has enough to do: the best estimate.
    throughput: f64,
    /// How far the last window was off it, in standard deviations.
    off: f64,
    /// Mean latency in seconds when nothing waits.
    floor: f64,
    /// Coefficient of variation of that latency.
    cv: f64,
    /// More headroom than usual, or less: what the gain has made of it.
    boost: f64,
    /// 1 above the middle of the limit's swing, -1 below.
    side: f64,
    gain: Gain,
    /// How far the service has more to do than it can: 0 to 1.
    pressed: f64,
    next_dip: Option<Instant>,
    dip_began: Option<Instant>,
    /// The limit before it.
    resume: f64,
    /// Dips that agreed with each other.
    dips: u32,
    retries: u32,
    /// The part of calls whose callers left, of late.
    lost: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Doubling, for as long as it pays. What the last doubling got done.
    Start(f64),
    /// The limit has just been moved: calls from before are on their way out.
    Settle,
    /// The limit swings about its middle.
    Swing,
    /// The limit has been lowered below what can be worked on at once; calls from before are on their way out.
    Drain,
    /// And what is seen now is the latency without queueing.
    Dip,
}

/// Calls in a window.
const SAMPLES: u32 = 50;
/// The same, of the first: to see how fast the service is, roughly.
const FIRST: u32 = 16;
/// No window is shorter.
const SHORTEST: Duration = Duration::from_millis(2);
/// Let in over what can be worked on at once, while the service keeps up: so many may come at once.
const HEADROOM: f64 = 2.5;
/// The same, while there is always somebody who waits: what is amiss in the estimate.
const LEAST_HEADROOM: f64 = 1.5;
/// How far the limit swings about its middle.
const SWING: f64 = 1.2;
/// How far a dip goes below what can be worked on at once.
const DIP: f64 = 0.75;
/// The same, of one that only looks whether all is as before.
const SHALLOW: f64 = 0.9;
/// The part of the throughput that dips may cost.
const DIP_COST: f64 = 0.003;
/// A change of the limit of more than this needs time to settle.
const STEP: f64 = 0.25;

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Adaptive {
    /// wip
    pub fn new() -> Self {
        let settings = Settings::default();
        Self {
            limit: settings.initial,
            settings,
            phase: Phase::Start(0.0),
            size: WindowSize {
                time: SHORTEST,
                samples: FIRST,
            },
            throughput: 0.0,
            off: 0.0,
            floor: 0.0,
            cv: 1.0,
            boost: 1.0,
            side: 1.0,
            gain: Gain::default(),
            pressed: 0.0,
            next_dip: None,
            dip_began: None,
            resume: 0.0,
            dips: 0,
            retries: 0,
            lost: 0.0,
        }
    }

    /// Requests that the service can work on at once, by Little's law.
    fn base(&self) -> f64 {
        self.throughput * self.floor
    }

    /// 1 while the service keeps up, 0 while it has more to do than it can.
    fn calm(&self) -> f64 {
        1.0 - self.pressed
    }

    fn goal(&self) -> f64 {
        let base = self.base();
        let headroom = (LEAST_HEADROOM + (HEADROOM - LEAST_HEADROOM) * self.calm()) * self.boost;
        let goal = base * headroom + 2.0 * base.sqrt();
        match self.settings.objective {
            // By the same law: so many in flight have that latency.
            Some(objective) => goal.min(self.throughput * objective),
            None => goal,
        }
    }

    /// The goal, swung to one side, by one at least.
    fn swung(&self) -> f64 {
        let goal = self.goal();
        if self.side > 0.0 {
            (goal * SWING).max(goal + 1.0)
        } else {
            goal / SWING
        }
    }

    /// Time in which nearly all calls that run now will have ended.
    fn tail(&self) -> Duration {
        let seconds = self.floor * (1.0 + 3.0 * self.cv).min(6.0);
        Duration::from_secs_f64(seconds).max(SHORTEST)
    }

    fn window_of(&self, samples: f64) -> WindowSize {
        WindowSize {
            time: self.tail(),
            samples: samples.ceil().max(8.0) as u32,
        }
    }

    /// A window that measures: several generations of calls, so that those cut off at its ends weigh little.
    fn measure(&self) -> WindowSize {
        self.window_of((4.0 * self.limit).clamp(f64::from(SAMPLES), 1e9))
    }

    /// How far off the throughput of a window with so many calls is, relative to what it is: chance, and what is
    /// cut off at its ends.
    fn spread(&self, calls: f64) -> f64 {
        (self.cv.max(0.2) / calls.sqrt()).max(0.25 * self.limit / calls)
    }

    /// Takes a window into the estimate of the throughput.
    fn follow(&mut self, seen: &Seen, settled: bool) {
        if self.throughput <= 0.0 {
            self.throughput = seen.throughput;
        }
        let apart = (seen.throughput / self.throughput).ln();
        if !seen.limited {
            // It could have done more: there was nothing more to do.
            self.throughput *= apart.max(0.0).exp();
            self.off = 0.0;
            return;
        }
        let off = apart / self.spread(seen.calls);
        let twice = off * self.off > 0.0 && off.abs().min(self.off.abs()) > 2.5;
        self.off = off;
        let weight = if settled && apart.abs() > 0.2 && (off.abs() > 4.0 || twice) {
            1.0
        } else {
            seen.calls / (seen.calls + 50.0 + 4.0 * self.limit + 200.0 * self.cv * self.cv)
        };
        // A window in which hardly anybody found no slot says little about how much less can be done.
        let weight = if apart < 0.0 {
            weight * seen.pressed
        } else {
            weight
        };
        self.throughput *= (apart * weight).exp();
        if apart * weight < -0.4 {
            // Fewer workers, or slower ones? A dip tells.
            self.next_dip = Some(seen.now);
        }
    }

    /// The limit goes where it should be, as far as it may at once.
    fn steer(&mut self) -> Because {
        let before = self.limit;
        self.set(self.swung(), before / 2.0, before * 2.0);
        if (self.limit / before).ln().abs() > STEP {
            self.phase = Phase::Settle;
            self.size = self.measure();
        }
        if self.limit > before {
            Because::Growth
        } else {
            Because::Latency
        }
    }

    fn set(&mut self, goal: f64, least: f64, most: f64) {
        let Settings {
            at_least, at_most, ..
        } = self.settings;
        self.limit = goal.clamp(least, most).clamp(at_least, at_most);
    }

    fn start(&mut self, seen: &Seen, before: f64) -> Because {
        if self.floor <= 0.0 {
            self.floor = seen.latency;
        }
        self.floor = self.floor.min(seen.latency);
        self.throughput = seen.throughput;
        if !seen.limited {
            return self.idle(seen);
        }
        if seen.throughput > 1.5 * before && seen.latency < 1.4 * self.floor {
            self.phase = Phase::Start(seen.throughput);
            self.set(self.limit * 4.0, 1.0, f64::INFINITY);
            self.size = WindowSize {
                time: Duration::from_secs_f64(seen.latency).max(SHORTEST),
                samples: ((1.25 * self.limit) as u32).max(FIRST),
            };
            return Because::Growth;
        }
        self.dip(seen.now, self.base() * DIP)
    }

    /// Nobody was turned away.
    fn idle(&mut self, seen: &Seen) -> Because {
        self.follow(seen, true);
        let weight = seen.calls / (seen.calls + 500.0);
        // With much in flight a high latency may be queueing, which must not be taken for what the service needs.
        if seen.latency < self.floor || seen.in_flight < 0.7 * self.base() {
            self.floor += weight * (seen.latency - self.floor);
            self.cv += weight * (seen.cv - self.cv);
        }
        self.gain.forget();
        let goal = self.goal();
        let goal = if goal > self.limit {
            goal
        } else {
            // Slowly down, and not so far that what comes now would find it.
            let lowest = goal.max(1.25 * seen.most).min(self.limit);
            self.limit + 0.1 * (lowest - self.limit)
        };
        self.set(goal, 1.0, f64::INFINITY);
        self.phase = Phase::Swing;
        self.size = self.measure();
        Because::Idle
    }

    fn swing(&mut self, w: &Window, seen: &Seen) -> Because {
        self.size = self.measure();
        if !seen.limited {
            return self.idle(seen);
        }
        self.follow(seen, true);
        let dips = self.settings.floor.is_none();
        if dips && self.next_dip.is_none_or(|at| seen.now >= at) {
            // Once some have agreed, a shallow one will do.
            let depth = if self.dips < 2 { DIP } else { SHALLOW };
            return self.dip(seen.now, self.base() * depth);
        }
        let same = (seen.throughput / self.throughput).ln().abs() < 0.2 || self.off.abs() < 4.0;
        if same && seen.pressed > 0.5 {
            let spread = self.spread(seen.calls);
            self.gain
                .compare(f64::from(w.limit), seen.throughput, spread);
            self.boost = self.gain.judge(self.boost);
            self.side = -self.side;
        } else {
            self.gain.forget();
            self.side = 1.0;
        }
        if seen.dropped > 0.1 {
            self.boost = (self.boost * 0.9).max(gain::LEAST);
            self.steer();
            return Because::Drops;
        }
        self.steer()
    }

    /// Lowers the limit below what can be worked on at once, to see the latency without queueing.
    fn dip(&mut self, now: Instant, to: f64) -> Because {
        let leaving = self.limit;
        if self.dip_began.is_none() {
            self.resume = leaving;
        }
        self.set(to.floor(), 1.0, f64::INFINITY);
        self.phase = Phase::Drain;
        self.dip_began.get_or_insert(now);
        self.gain.forget();
        self.size = self.window_of(leaving);
        Because::Probe
    }

    fn dipped(&mut self, w: &Window, seen: &Seen) -> Because {
        // Calls that waited before the dip, or short ones only: by Little's law the window does not hold together yet.
        if !seen.holds_together() && self.retries < 4 {
            self.retries += 1;
            self.size = self.measure();
            return Because::Probe;
        }
        self.retries = 0;
        let floor = self.floor;
        // As much was done with less in flight: something still waits.
        let limit = f64::from(w.limit);
        let shallow = limit > 0.8 * self.base();
        let full = !shallow && seen.throughput > 0.9 * self.throughput;
        let noise = seen.latency * seen.cv / seen.calls.sqrt();
        let near = (seen.latency - floor).abs() < 3.0 * noise.max(0.02 * floor);
        if near && !full && self.next_dip.is_some() {
            self.dips += 1;
            self.floor += (seen.latency - floor) * f64::from(self.dips + 1).recip().max(0.2);
        } else {
            self.dips = 0;
            self.floor = seen.latency;
        }
        self.cv += 0.3 * (seen.cv - self.cv);
        if (full || shallow && !near) && limit > 1.0 {
            return self.dip(seen.now, limit * DIP);
        }
        let cost = (1.0 - seen.throughput / self.throughput).clamp(0.1, 1.0);
        let took = seen.now - self.dip_began.take().unwrap_or(w.began);
        // The first of them are the most uncertain, and may cost more.
        let budget = DIP_COST * (1.0 + 3.0 / f64::from(self.dips + 1).powi(2));
        self.next_dip = Some(seen.now + took.mul_f64(cost / budget));
        let goal = self.goal();
        // Not far above where it was: if the service has become slow the throughput of before is not that of now.
        self.set(goal, 1.0, (1.25 * self.resume).max(2.0 * limit));
        self.phase = Phase::Settle;
        self.size = self.window_of(goal);
        Because::Probe
    }

    /// Of all calls that ended none was answered, so nothing was measured.
    fn unanswered(&mut self, now: Instant) -> Because {
        if matches!(self.phase, Phase::Drain | Phase::Dip) {
            // So few are let in that those who wait leave before or just after their turn: the dip is over.
            self.retries = 0;
            self.dip_began = None;
            self.next_dip = Some(now + Duration::from_secs(1));
            let goal = self.goal();
            self.set(goal, 1.0, f64::INFINITY);
            self.phase = Phase::Settle;
            self.size = self.window_of(goal);
            return Because::Probe;
        }
        self.gain.forget();
        // Not below what it could work on at once when it was well: else it would take long to see that it is again.
        self.set(self.limit * 0.8, self.base().min(self.limit), f64::INFINITY);
        self.size = self.measure();
        Because::Drops
    }

    fn change(&self, because: Because) -> Change {
        // A dip is short, and what matters should outlast it.
        let calm = match self.phase {
            Phase::Drain | Phase::Dip => 1.0,
            _ => self.calm(),
        };
        // Whoever waits for longer than its caller does only takes a slot for nothing.
        let patience = self.floor * (1.0 + 3.5 * calm) * (1.0 - self.lost).powi(2);
        let queue = (patience > 0.0).then(|| {
            (
                (self.throughput * patience).ceil().clamp(1.0, 1e6) as u32,
                Duration::from_secs_f64((6.0 * self.floor).clamp(1e-6, 3600.0)),
            )
        });
        Change {
            limit: self.limit.round().max(1.0) as u32,
            because,
            queue,
        }
    }
}

impl Algorithm for Adaptive {
    fn initial(&self) -> u32 {
        self.limit as u32
    }

    fn window(&self) -> WindowSize {
        self.size
    }

    fn update(&mut self, w: &Window) -> Change {
        let seen = Seen::new(w);
        let ended = w.answered as f64 + w.dropped as f64;
        self.lost += ended / (ended + 200.0) * (seen.dropped - self.lost);
        if w.answered == 0 {
            let because = self.unanswered(seen.now);
            return self.change(because);
        }
        let weight = seen.calls / (seen.calls + 200.0 + 20.0 * self.base());
        self.pressed += weight * (seen.pressed - self.pressed);
        let because = match self.phase {
            Phase::Start(before) => self.start(&seen, before),
            Phase::Settle if seen.limited => {
                self.follow(&seen, false);
                self.phase = Phase::Swing;
                self.size = self.measure();
                self.set(self.swung(), self.limit / 2.0, self.limit * 2.0);
                Because::Steady
            }
            Phase::Settle => self.idle(&seen),
            Phase::Swing => self.swing(w, &seen),
            Phase::Drain => {
                self.phase = Phase::Dip;
                self.size = self.measure();
                Because::Probe
            }
            Phase::Dip => self.dipped(w, &seen),
        };
        self.change(because)
    }
}
