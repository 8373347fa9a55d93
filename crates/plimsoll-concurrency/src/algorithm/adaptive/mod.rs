//! The default: a limit that finds itself.

mod dip;
mod estimate;
mod gain;
mod seen;
mod settings;

use std::time::Duration;

use tokio::time::Instant;

use self::{
    dip::{DIP, Dips},
    estimate::{Estimate, Followed},
    gain::Gain,
    seen::Seen,
    settings::Settings,
};
use super::{Algorithm, Because, Change, Window, WindowSize};

/// A limit that finds itself, from what the service gets done and how long that takes. The default of
/// [`Concurrency::adaptive`](crate::Concurrency::adaptive).
///
/// # How
///
/// The *base* is the number of requests that the service works on at a time:
/// `in flight x no-load latency / latency`. By Little's law it is throughput times no-load latency.
/// All requests in flight count, whatever becomes of them, and both latencies are measured in windows
/// of the same kind, so that what a window misses of long calls cancels out. The limit is the base
/// with some headroom: enough that nothing is idle, while little waits.
///
/// | observation | effect on the limit |
/// |---|---|
/// | the first calls | times 4, for as long as that raises the throughput and the latency stays |
/// | a request finds no slot | to base x headroom + 2 sqrt(base), at most halved or doubled at once |
/// | throughput far above the estimate | the estimate turns over at once |
/// | throughput far below it, twice | the same, and a dip tells why |
/// | other routes are asked for | stays, where [routes](crate::Concurrency::route) are told apart |
/// | what was measured is uncertain | more headroom, and more dips |
/// | no request is without a slot | stays; no-load latency is learned while little is in flight |
/// | load follows idle time | the window begins anew |
/// | more in flight raises the throughput, or lowers it | more headroom, or less: the limit swings by a fifth to measure it |
/// | from time to time | a *dip* to 0.75 of the base, to measure the no-load latency; costs 0.2 % of the throughput once it is well known, and some per cent at first |
/// | every tenth call is dropped | less headroom |
/// | requests tell a deadline | no more than the service answers within 0.6 of it |
///
/// The headroom is 2.5 while the service keeps up, so that bursts are admitted, and 1.1 while most
/// requests find no slot. The queue holds work for 1 (under pressure) to 4.5 latencies; no request
/// waits for longer than 6 latencies.
///
/// Little's law is from 1961. Sentinel and aegis ("BBR") estimate a limit with it and take the lowest
/// latency of the last seconds for the no-load latency: in a lasting overload there is no such second.
/// Swing and dips are this crate's. `docs/choosing-limits.md` has a worked example, and curves from
/// the laboratory.
///
/// # What it cannot do
///
/// A limit sees one mean latency: tell routes that differ widely [apart](crate::Concurrency::route). Calls whose bodies stream
/// without end hold slots that no latency tells of: give those a fixed limit. It has to see generations of calls: a service
/// of half a second takes seconds.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_concurrency::{Adaptive, Concurrency};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = Concurrency::adaptive();
/// // The same, never above 500, and never so high that a call takes more than 200 ms on average:
/// let guarded = Adaptive::new().limits(20, 1..=500)?.objective(Duration::from_millis(200))?;
/// let limit = Concurrency::moved_by(guarded)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Adaptive {
    settings: Settings,
    limit: f64,
    phase: Phase,
    size: WindowSize,
    estimate: Estimate,
    /// More headroom than usual, or less: what the gain has made of it.
    boost: f64,
    /// 1 above the middle of the limit's swing, -1 below.
    side: f64,
    gain: Gain,
    dips: Dips,
    /// Windows in which nobody was turned away.
    idle_windows: u32,
    /// Seconds until the deadline of requests that found no slot.
    time_left: Option<f64>,
    /// Throughput by Little's law over what is counted. 1 unless calls leave, or several cells share
    /// the limit and each has its slots.
    calibration: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Growing fast, for as long as it pays. What the last step got done.
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
const LEAST_HEADROOM: f64 = 1.1;
/// How far the limit swings about its middle.
const SWING: f64 = 1.2;
/// A change of the limit of more than this needs time to settle.
const STEP: f64 = 0.25;
/// Of so many windows with little to do routes are learnt from one: two that are to be compared need the same knowledge.
const IDLE_WINDOWS: u32 = 8;
/// A probe holds at most this many times the calls of other windows. Lower, and one long call in a
/// hundred decides what the no-load latency is (lab, `one-in-100`).
const MOST_VARIED: f64 = 8.0;
/// The first probe lasts this many times the mean latency and its deviation before it. Shorter, and it
/// misses the long calls of a mix (lab, `mixed-routes` at 2x); longer, and the start takes longer.
const LONG: f64 = 1.5;
/// What one window counts for in the calibration. Higher, and the noise of single windows moves the
/// limit (lab, `laws`: 4 workers, bimodal, at 2x).
const CALIBRATE: f64 = 0.05;
/// The part of the time until the deadline of a request that it may spend inside the service; the
/// rest is for the queue. Lower, and the service idles; higher, and answers are late
/// (lab, `deadline-3`).
const INSIDE: f64 = 0.6;
/// How long requests may wait, in latencies without queueing.
const LONGEST_WAIT: f64 = 6.0;

impl Default for Adaptive {
    fn default() -> Self {
        Self::new()
    }
}

impl Adaptive {
    /// Begins with 10, and goes where it has to. Nothing has to be set.
    pub fn new() -> Self {
        let settings = Settings::default();
        Self {
            limit: f64::from(settings.bounds.initial),
            settings,
            phase: Phase::Start(0.0),
            size: WindowSize {
                time: SHORTEST,
                samples: FIRST,
            },
            estimate: Estimate::new(),
            boost: 1.0,
            side: 1.0,
            gain: Gain::default(),
            dips: Dips::default(),
            idle_windows: 0,
            time_left: None,
            calibration: 1.0,
        }
    }

    /// Where the limit should be.
    fn goal(&self) -> f64 {
        let base = self.estimate.base();
        let headroom = LEAST_HEADROOM + (HEADROOM - LEAST_HEADROOM) * self.estimate.calm();
        // What is uncertain may be too low; and then the service would have less to do than it can.
        let headroom = headroom * (1.0 + self.estimate.error);
        let goal = base * (headroom * self.boost) + 2.0 * base.sqrt();
        match self.settings.objective {
            // By the same law: so many in flight have that latency.
            Some(objective) => goal.min(self.estimate.throughput * objective),
            None => goal,
        }
    }

    /// The goal, swung to one side, by one at least.
    fn swung(&self) -> f64 {
        let goal = self.goal();
        let swung = if self.side > 0.0 {
            (goal * SWING).max(goal + 1.0)
        } else {
            goal / SWING
        };
        swung.min(self.most_in_time())
    }

    /// The most in flight that the service answers in time: a request must not spend its time inside.
    fn most_in_time(&self) -> f64 {
        let Some(time_left) = self.time_left else {
            return f64::INFINITY;
        };
        let in_time = self.estimate.throughput * INSIDE * time_left;
        in_time.max(1.1 * self.estimate.base() + 1.0)
    }

    fn window_of(&self, samples: f64) -> WindowSize {
        WindowSize {
            time: self.estimate.tail(),
            samples: samples.ceil().max(8.0) as u32,
        }
    }

    /// A window that measures: several generations of calls, so that those cut off at its ends weigh little.
    fn measure(&self) -> WindowSize {
        self.window_of((4.0 * self.limit).clamp(f64::from(SAMPLES), 1e9))
    }

    /// A window that measures the no-load latency. It holds more calls the more they vary.
    fn measure_probe(&self, seen: &Seen) -> WindowSize {
        let varied = self.estimate.cv.powi(2).clamp(1.0, MOST_VARIED);
        let least = f64::from(SAMPLES) * varied;
        let size = self.window_of((4.0 * self.limit).clamp(least, 1e9));
        if self.dips.agreed > 0 {
            return size;
        }
        // The first estimate may be that of the short calls, which end first: wait for the long ones.
        let long = LONG * seen.latency * (1.0 + seen.cv);
        let long = Duration::from_secs_f64(long.min(3600.0));
        WindowSize {
            time: size.time.max(long),
            ..size
        }
    }

    fn set(&mut self, goal: f64, least: f64, most: f64) {
        self.limit = self.settings.bounds.clamp(goal.clamp(least, most));
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

    /// Takes a window into the estimate; a service that gets much less done is looked at closely.
    fn follow(&mut self, seen: &Seen, settled: bool) -> Followed {
        let followed = self.estimate.follow(seen, self.limit, settled);
        if followed == Followed::Fell {
            // Fewer workers, or slower ones? A dip tells.
            self.dips.next = Some(seen.now);
        }
        followed
    }

    fn start(&mut self, seen: &Seen, before: f64) -> Because {
        let estimate = &mut self.estimate;
        // The first to end are the shortest: by Little's law the others take longer.
        let held = match self.phase {
            Phase::Start(_) if seen.limited => seen.in_flight / seen.counted,
            _ => seen.latency,
        };
        let latency = seen.latency.max(held);
        if estimate.floor <= 0.0 {
            estimate.floor = latency;
        }
        estimate.floor = self.settings.floor.unwrap_or(estimate.floor.min(latency));
        estimate.throughput = seen.counted;
        if !seen.limited {
            return self.idle(seen);
        }
        // A window in which the limit rose counts more in flight than it gets done: so much is no queue yet.
        let fast = seen.latency < 1.4 * estimate.floor && held < 1.7 * estimate.floor;
        if fast && seen.counted > 1.5 * before {
            self.phase = Phase::Start(seen.counted);
            self.set(self.limit * 4.0, 1.0, f64::INFINITY);
            self.size = WindowSize {
                time: Duration::from_secs_f64(seen.latency).max(SHORTEST),
                samples: ((1.25 * self.limit) as u32).max(FIRST),
            };
            return Because::Growth;
        }
        if self.settings.floor.is_some() {
            self.phase = Phase::Swing;
            return self.steer();
        }
        self.dip(seen.now, self.estimate.base() * DIP)
    }

    /// Nobody was turned away.
    fn idle(&mut self, seen: &Seen) -> Because {
        self.follow(seen, true);
        self.estimate.rest(seen, self.settings.floor);
        self.gain.forget();
        let goal = self.goal();
        let goal = if goal > self.limit {
            goal
        } else {
            // Slowly down, and not so far that what comes now would find it.
            let least = f64::from(self.settings.bounds.initial);
            let lowest = goal.max(1.25 * seen.most).max(least).min(self.limit);
            self.limit + 0.1 * (lowest - self.limit)
        };
        self.set(goal, 1.0, f64::INFINITY);
        self.phase = Phase::Swing;
        self.size = self.measure();
        Because::Idle
    }

    fn settle(&mut self, seen: &Seen) -> Because {
        self.follow(seen, false);
        self.phase = Phase::Swing;
        self.size = self.measure();
        self.set(self.swung(), self.limit / 2.0, self.limit * 2.0);
        Because::Steady
    }

    fn swing(&mut self, seen: &Seen) -> Because {
        self.size = self.measure();
        let off = (seen.throughput / seen.counted).clamp(0.1, 10.0);
        self.calibration *= off.powf(CALIBRATE);
        let known = self.estimate.throughput;
        let unknown = self.dips.next.is_none() || seen.latency < self.estimate.floor;
        if unknown && seen.throughput.min(seen.counted) > 1.5 * known {
            // A service that was never pressed is not known: the first flood is a start. So is one that gets ever more done.
            return self.start(seen, known);
        }
        if self.follow(seen, true) == Followed::Doubt {
            self.gain.forget();
            self.size = self.window_of((2.0 * self.limit).clamp(f64::from(SAMPLES), 1e9));
            return Because::Steady;
        }
        if self.settings.floor.is_none() && self.dips.is_due(seen.now) {
            return self.dip(seen.now, self.estimate.base() * self.dips.depth());
        }
        if self.estimate.is_same(seen) && seen.pressed > 0.5 {
            let spread = self.estimate.spread(seen.calls, self.limit);
            self.gain.compare(seen.limit, seen.counted, spread);
            let boost = self.gain.judge(self.boost);
            let because = boost < self.boost;
            self.boost = boost;
            self.side = -self.side;
            if because {
                self.steer();
                return Because::Throughput;
            }
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

    /// Of all calls that ended none was answered, so nothing was measured.
    fn unanswered(&mut self, now: Instant) -> Because {
        if matches!(self.phase, Phase::Drain | Phase::Dip) {
            return self.give_up_dip(now);
        }
        self.gain.forget();
        // Not below what it could work on at once when it was well: else it would take long to see that it is again.
        let least = self.estimate.base().min(self.limit);
        self.set(self.limit * 0.8, least, f64::INFINITY);
        self.size = self.measure();
        Because::Drops
    }

    /// How many may wait, and how long.
    fn queue(&self) -> Option<(u32, Duration)> {
        let estimate = &self.estimate;
        // A dip is short, and what matters should outlast it.
        let calm = match self.phase {
            Phase::Drain | Phase::Dip => 1.0,
            _ => estimate.calm(),
        };
        // Whoever waits for longer than its caller does only takes a slot for nothing.
        let patience = estimate.floor * (1.0 + 3.5 * calm) * (1.0 - estimate.lost).powi(2);
        let len = (estimate.throughput * patience).ceil().clamp(1.0, 1e6);
        let longest = (LONGEST_WAIT * estimate.floor).clamp(1e-6, 3600.0);
        (patience > 0.0).then(|| (len as u32, Duration::from_secs_f64(longest)))
    }

    /// Whether calls of this window did not wait for each other: in a dip, and now and then while there is little to do.
    fn at_rest(&mut self, seen: &Seen) -> bool {
        if seen.limited {
            return self.phase == Phase::Dip && seen.holds_together();
        }
        self.idle_windows = self.idle_windows.wrapping_add(1);
        self.idle_windows.is_multiple_of(IDLE_WINDOWS)
            && seen.in_flight < 0.7 * self.estimate.base()
    }

    fn change(&mut self, because: Because, at_rest: bool) -> Change {
        if at_rest {
            self.estimate.routes_learn();
        }
        Change {
            at_rest,
            limit: self.limit.round().max(1.0) as u32,
            because,
            queue: self.queue(),
            no_load_latency: (self.estimate.floor > 0.0)
                .then(|| Duration::from_secs_f64(self.estimate.floor.min(3600.0))),
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

    fn update(&mut self, window: &Window) -> Change {
        let mut seen = Seen::new(window);
        seen.counted *= self.calibration;
        if self.phase == Phase::Settle && seen.most > seen.limit {
            // The limit has just fallen: calls that end now met more in flight than there is now.
            seen.throughput = seen.throughput.max(seen.counted);
        }
        let ended = window.answered as f64 + window.dropped as f64;
        self.estimate.lost += ended / (ended + 200.0) * (seen.dropped - self.estimate.lost);
        self.time_left = seen.time_left;
        if window.answered == 0 {
            // Callers that leave at once are no reason to admit fewer.
            let because = if window.dropped > 0 {
                self.unanswered(seen.now)
            } else {
                Because::Steady
            };
            return self.change(because, false);
        }
        let slower = self.estimate.remix(&seen);
        self.gain.remix(slower);
        let at_rest = self.at_rest(&seen);
        self.estimate.press(&seen);
        let because = match self.phase {
            Phase::Start(before) => self.start(&seen, before),
            Phase::Settle | Phase::Swing if !seen.limited => {
                self.size = self.measure();
                self.idle(&seen)
            }
            Phase::Settle => self.settle(&seen),
            Phase::Swing => self.swing(&seen),
            Phase::Drain => {
                self.phase = Phase::Dip;
                self.size = self.measure_probe(&seen);
                Because::Probe
            }
            Phase::Dip => self.dipped(&seen),
        };
        self.change(because, at_rest)
    }
}
