//! The adaptive limit: owns the model and the phase, and applies each step.

use std::{
    ops::{ControlFlow, RangeInclusive},
    time::Duration,
};

use super::{
    Algorithm, Change, InvalidLimits, LimitReason, Tuning, Window, WindowSize,
    headroom::Headroom,
    model::{Evidence, Model, Probed},
    observation::Observation,
    phase::{Context, Phase, Probe, Step, idle, probe, startup, track},
    queue_policy,
    settings::Settings,
};

/// An adaptive limit: finds the capacity of the service from throughput and latency.
///
/// The default of [`ConcurrencyLimit::adaptive`](crate::ConcurrencyLimit::adaptive). Nothing has to be set.
///
/// # How it works
///
/// The *base* is the number of requests that the service works on at a time:
/// `in flight x no-load latency / latency`. By Little's law it is throughput times no-load latency.
/// All requests in flight count, whatever their outcome, and both latencies are measured in windows
/// of the same kind, so that what a window misses of long calls cancels out. The limit is the base
/// with some headroom: enough that the service is never idle, while little waits inside.
///
/// | observation | effect on the limit |
/// |---|---|
/// | the first calls | times 4 (with deadlines: by as much as they allow), for as long as that raises the throughput and the latency stays |
/// | requests find no slot | to base x headroom + 2 sqrt(base), at most halved or doubled at once |
/// | throughput far above the estimate | the estimate is replaced at once |
/// | throughput far below it, twice | the same with the no-load latency, so that the base stays, and a probe finds out why |
/// | the mix of routes changes | stays, where [routes](crate::ConcurrencyLimit::route) have entrances of their own |
/// | the estimate is uncertain | more headroom, and more probes |
/// | every request finds a slot | stays; the no-load latency is updated while little is in flight |
/// | load follows idle time | the window starts again; a service that was never under load starts as at first |
/// | calls in flight are too late for a stated deadline | falls to what is in time, even if no request was rejected |
/// | more in flight raises the throughput, or lowers it | more headroom, or less: the limit alternates by a fifth around its goal to measure it |
/// | from time to time | a *probe* lowers it to 0.75 of the base, to measure the no-load latency; costs 0.2 % of the throughput once that is known, and some per cent at first, unless it was measured under less load |
/// | a tenth of the calls is dropped | less headroom, and a shorter queue |
/// | requests state a deadline | at most what the service answers within 0.7 of it, less where calls vary; the queue leaves a reserve |
///
/// The headroom is 2.5 while the service keeps up, so that bursts are admitted, and 1.1 under
/// saturation. The queue holds work for 1 (under saturation) to 4.5 no-load latencies; no request
/// waits for longer than 6. Stated deadlines that leave more time lengthen both, up to four times.
///
/// Little's law is from 1961. Sentinel and aegis ("BBR") estimate a limit with it and use the lowest
/// latency of the last seconds as no-load latency; in a lasting overload there is no such second.
/// The alternation and the probes are this crate's. `docs/choosing-limits.md` has a worked example
/// and curves from the laboratory.
///
/// # Limitations
///
/// One limit has one mean latency. Give routes that differ widely a latency of their own, with
/// [`route`](crate::ConcurrencyLimit::route). Calls whose bodies stream without end hold slots that
/// no latency accounts for: give those a fixed limit. The estimate needs generations of calls: for a
/// service of half a second it takes seconds.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_concurrency::{Adaptive, ConcurrencyLimit};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limit = ConcurrencyLimit::adaptive();
/// // The same, at most 500, and at most so high that a call takes 200 ms on average:
/// let guarded = Adaptive::builder()
///     .limits(20, 1..=500)
///     .objective(Duration::from_millis(200))
///     .build()?;
/// let limit = ConcurrencyLimit::with_algorithm(guarded)?;
/// # Ok(())
/// # }
/// ```
#[doc(alias("adaptive concurrency"))]
#[derive(Debug)]
pub struct Adaptive {
    settings: Settings,
    model: Model,
    limit: f64,
    headroom: Headroom,
    phase: Phase,
    window: WindowSize,
    idle_windows: u32,
}

impl Adaptive {
    /// Creates the algorithm with settings that are within their bounds.
    pub(super) fn with(settings: Settings, tuning: &Tuning) -> Self {
        let mut model = Model::new(tuning);
        if let Some(stated) = settings.no_load_latency {
            model.no_load = stated.as_secs_f64();
            model.stated_no_load = Some(model.no_load);
        }
        Self {
            limit: f64::from(settings.bounds.initial),
            settings,
            model,
            headroom: Headroom::new(),
            phase: Phase::Startup {
                before: 0.0,
                factor: tuning.growth,
            },
            window: WindowSize {
                time: Duration::from_secs_f64(tuning.shortest_window),
                samples: tuning.startup_calls as u32,
            },
            idle_windows: 0,
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            limit: self.limit,
            model: &self.model,
            headroom: &self.headroom,
            settings: &self.settings,
        }
    }

    fn step(&mut self, seen: &Observation) -> Step {
        match self.phase {
            Phase::Startup { before, factor } => self.start(seen, before, factor),
            Phase::Look | Phase::Settle | Phase::Track if !seen.demand => self.idle(seen),
            Phase::Look => self.look(seen),
            Phase::Settle => {
                self.model.follow(seen, self.limit, false);
                track::settled(&self.context())
            }
            Phase::Track => self.track(seen),
            Phase::Drain(probe) => {
                self.model.drained(seen);
                probe::measure(probe, seen, &self.context())
            }
            Phase::Measure(probe) => self.measured(seen, probe),
        }
    }

    /// `before` is the throughput that growth is compared with, `factor` that of a step.
    fn start(&mut self, seen: &Observation, before: f64, factor: f64) -> Step {
        let latency = startup::latency(seen);
        self.model.start(seen, latency);
        if !seen.demand {
            return self.idle(seen);
        }
        self.headroom.forget();
        let step = startup::step(seen, before, factor, &self.context());
        // The first probe follows, unless the base that was found shows that it was made before.
        if matches!(step.phase, Phase::Drain(_)) && self.model.adopt_rest() {
            return startup::tried(seen, true, &self.context());
        }
        step
    }

    fn look(&mut self, seen: &Observation) -> Step {
        let capacity = self.model.capacity;
        if seen.counted > (1.0 + self.model.tuning.changed) * capacity {
            return self.start(seen, capacity, self.model.tuning.growth);
        }
        self.model.follow(seen, self.limit, false);
        let rested = self.model.adopt_rest();
        startup::tried(seen, rested, &self.context())
    }

    fn idle(&mut self, seen: &Observation) -> Step {
        self.model.follow(seen, self.limit, true);
        self.model.rest(seen);
        self.headroom.forget();
        idle::step(seen, &self.context())
    }

    fn track(&mut self, seen: &Observation) -> Step {
        self.model.calibrate(seen, self.model.tuning.calibrate);
        if startup::is_due(seen, &self.model) {
            let capacity = self.model.capacity;
            if seen.counted < (1.0 + self.model.tuning.changed) * capacity {
                return startup::look(seen, &self.context());
            }
            let seen = startup::at_its_most(seen, &self.model);
            return self.start(&seen, capacity, self.model.tuning.growth);
        }
        let evidence = self.model.follow(seen, self.limit, true);
        if evidence == Evidence::Doubt {
            self.headroom.forget();
            return track::doubt(&self.context());
        }
        if self.model.adopt_rest() {
            self.headroom.forget();
            return startup::tried(seen, true, &self.context());
        }
        // A probe below a base that is wrong would measure little, for long.
        if self.model.is_probe_due(seen.now) && self.model.confirms(seen) {
            self.headroom.forget();
            return probe::due(seen.now, &self.context());
        }
        let lowered = self.headroom.observe(seen, self.limit, &self.model);
        track::step(lowered, &self.context())
    }

    fn measured(&mut self, seen: &Observation, probe: Probe) -> Step {
        let seen = &match probe::join(probe, seen, &self.context()) {
            ControlFlow::Break(all) => all,
            ControlFlow::Continue(step) => return step,
        };
        self.model.follow_mix(seen);
        if !seen.obeys_littles_law(&self.model.tuning) {
            self.model.recalibrate(seen);
        }
        match self.model.probed(seen, probe.shallow) {
            Probed::Queueing => probe::lower(probe, &self.context()),
            Probed::NoLoad => {
                let lost = 1.0 - seen.throughput / self.model.capacity;
                probe::end(probe, seen.now, lost, &self.context())
            }
        }
    }

    /// Calls were dropped, and none was answered: no latency was measured.
    fn unanswered(&mut self, seen: &Observation) -> Step {
        match self.phase {
            // The limit is so low that queued callers leave before or just after they are admitted.
            Phase::Drain(probe) | Phase::Measure(probe) => {
                probe::end(probe, seen.now, 1.0, &self.context())
            }
            phase => {
                self.headroom.forget();
                if seen.late <= 0.0 {
                    return track::unanswered(phase, &self.context());
                }
                self.model.contradicted();
                // What brought the service down may still be there: in smaller steps than at first.
                let again = Phase::Startup {
                    before: 0.0,
                    factor: self.model.tuning.most_move,
                };
                track::unanswered(again, &self.context())
            }
        }
    }

    /// Whether calls did not wait for each other in a window that led to this step, so that routes may
    /// update their no-load latencies: the last one of a probe, or an idle one.
    fn is_at_no_load(&mut self, seen: &Observation, measured: bool, step: &Step) -> bool {
        let tuning = &self.model.tuning;
        if seen.demand {
            return measured && step.phase == Phase::Settle;
        }
        self.idle_windows = self.idle_windows.wrapping_add(1);
        self.idle_windows.checked_rem(tuning.idle_windows as u32) == Some(0)
            && self.model.is_at_no_load(seen)
    }

    /// The reply to a window; without a step, nothing changes.
    fn change(&mut self, step: Option<Step>, at_no_load: bool) -> Change {
        let mut reason = LimitReason::Steady;
        let before = self.limit;
        if let Some(step) = step {
            self.limit = step.limit;
            self.phase = step.phase;
            self.window = step.window;
            self.model.next_probe = step.next_probe.or(self.model.next_probe);
            reason = step.reason;
        }
        if at_no_load {
            self.model.routes_update();
        }
        let during_probe = matches!(self.phase, Phase::Drain(_) | Phase::Measure(_));
        let no_load = self.model.no_load.min(3600.0);
        Change {
            limit: self.limit.round().max(1.0) as u32,
            reason,
            // What is in flight under the limit of before is ahead of the queue.
            queue: queue_policy::queue(&self.model, before.max(self.limit), during_probe),
            at_no_load,
            no_load_latency: (no_load > 0.0).then(|| Duration::from_secs_f64(no_load)),
        }
    }
}

impl Algorithm for Adaptive {
    fn initial(&self) -> u32 {
        self.limit as u32
    }

    fn window(&self) -> WindowSize {
        self.window
    }

    fn window_after_idle_time(&self) -> WindowSize {
        if self.phase != Phase::Track || self.model.is_tried() {
            return self.window;
        }
        // What was measured shows what was asked for. How much the service can do is unknown.
        startup::first_window(&self.context())
    }

    fn longer_queue(&self) -> f64 {
        self.model.tuning.patience
    }

    fn bounds(&self) -> RangeInclusive<u32> {
        self.settings.bounds.range()
    }

    fn set_bounds(&mut self, within: RangeInclusive<u32>) -> Result<(), InvalidLimits> {
        self.settings.bounds = self.settings.bounds.moved(within)?;
        self.limit = self.settings.bounds.clamp(self.limit);
        Ok(())
    }

    fn update(&mut self, window: &Window) -> Change {
        let mut seen = Observation::new(
            window,
            self.model.calibration,
            self.model.no_load,
            &self.model.tuning,
        );
        if self.limit.round() as u32 != window.limit {
            // It was pinned.
            self.limit = self.settings.bounds.clamp(window.limit.into());
        }
        if self.phase == Phase::Settle {
            seen.correct_for_fallen_limit();
        }
        self.model.observe(&seen);
        if !seen.measured {
            // Callers that leave at once are no reason to admit fewer.
            let step = (window.dropped > 0).then(|| self.unanswered(&seen));
            return self.change(step, false);
        }
        // The windows of a probe are one measurement, with one mix.
        let measured = matches!(self.phase, Phase::Measure(_));
        if !measured {
            let slower = self.model.follow_mix(&seen);
            self.headroom.follow_mix(slower);
        }
        self.model.saturate(&seen);
        let step = self.step(&seen);
        let at_no_load = self.is_at_no_load(&seen, measured, &step);
        self.change(Some(step), at_no_load)
    }
}
