//! The machine: a state, and the data of each state.

use super::{
    opening::Opening,
    probes::{Answer, Probes},
    ramp::Ramp,
    stamp::{Stamp, State},
};
use crate::{
    nanos::nanos,
    settings::{Settings, jittered},
    transition::TransitionReason,
};

/// The shortest retry hint of a half-open or recovering breaker, in nanoseconds (100 ms), unless
/// `open_for` is shorter.
///
/// Probes that fail at once take no time, and a caller that retries at once would be rejected
/// again. `the_hint_of_a_half_open_breaker_is_the_duration_of_a_probe` fails with another value.
const SHORTEST_WAIT: u64 = 100_000_000;

/// The time until `not_before`, at most `longest`; `None` when it never comes.
pub(crate) fn wait(now: u64, not_before: u64, longest: u64) -> Option<u64> {
    (not_before < u64::MAX).then(|| not_before.saturating_sub(now).min(longest))
}

/// The decision on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Closed by now: admit it.
    Pass,
    /// Admit it as a probe with this ticket.
    Probe(u16),
    /// Admit it as a call of the ramp.
    Ramp,
    /// Reject it, with this retry hint. `None` while forced open.
    Reject { wait: Option<u64> },
}

/// When a call that counted ended, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ended {
    pub(crate) at: u64,
    pub(crate) took: u64,
}

/// How long an answer asked callers to wait, and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Asked {
    at: u64,
    wait: u64,
}

/// The state of a breaker with all its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    stamp: Stamp,
    /// Why the state was entered.
    reason: TransitionReason,
    /// Open: the end of the opening.
    until: u64,
    opening: Opening,
    /// The latest wait that an answer of this generation asked for.
    asked: Asked,
    /// Draws the jitter of each opening.
    dice: fastrand::Rng,
    /// Half-open: the duration of the latest call that counted.
    took: u64,
    probes: Probes,
    ramp: Ramp,
}

impl Machine {
    /// A closed machine. Each machine needs a generator with its own seed.
    pub(crate) fn new(dice: fastrand::Rng) -> Self {
        Self {
            stamp: Stamp::new(0, State::Closed),
            reason: TransitionReason::Set,
            until: 0,
            opening: Opening::default(),
            asked: Asked::default(),
            dice,
            took: 0,
            probes: Probes::new(),
            ramp: Ramp::default(),
        }
    }

    pub(crate) const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Why the state was entered.
    pub(crate) const fn reason(&self) -> TransitionReason {
        self.reason
    }

    /// Decides on a request.
    pub(crate) fn ask(&mut self, now: u64, rules: &Settings) -> Decision {
        match self.stamp.state() {
            State::Closed | State::ForcedClosed | State::Disabled => return Decision::Pass,
            State::Open if now >= self.until => {
                self.enter(State::HalfOpen, TransitionReason::OpeningPassed);
                return self.probe(now, rules);
            }
            State::Open | State::ForcedOpen => {}
            State::HalfOpen => return self.probe(now, rules),
            State::Recovering => {
                if self.ramp.is_over(now) {
                    self.close(now, TransitionReason::RampPassed);
                    return Decision::Pass;
                }
                if self.ramp.ask(now, rules) {
                    return Decision::Ramp;
                }
            }
        }
        self.reject(now, rules)
    }

    fn reject(&self, now: u64, rules: &Settings) -> Decision {
        Decision::Reject {
            wait: self.wait(now, rules),
        }
    }

    fn probe(&mut self, now: u64, rules: &Settings) -> Decision {
        match self.probes.ask(now, rules) {
            Answer::Probe(ticket) => Decision::Probe(ticket),
            Answer::Full => self.reject(now, rules),
            Answer::Slow => {
                let took = rules.slow_call.map_or(0, nanos);
                let ended = Ended { at: now, took };
                self.open(ended, TransitionReason::ProbeFailed, rules);
                self.reject(now, rules)
            }
        }
    }

    /// Opens after calls admitted under `stamp`. Returns `false` when the stamp is outdated, or
    /// does not open.
    pub(crate) fn trip(
        &mut self,
        stamp: Stamp,
        ended: Ended,
        reason: TransitionReason,
        rules: &Settings,
    ) -> bool {
        let opens = matches!(stamp.state(), State::Closed | State::Recovering);
        let current = self.stamp == stamp && opens;
        if current {
            self.open(ended, reason, rules);
        }
        current
    }

    /// Opens for at least `length`, or extends the opening. Returns `false` in a state that was set
    /// by hand.
    pub(crate) fn trip_by_hand(&mut self, now: u64, length: u64, rules: &Settings) -> bool {
        if self.stamp.state().is_by_hand() {
            return false;
        }
        if self.stamp.state() != State::Open {
            let ended = Ended { at: now, took: 0 };
            self.open(ended, TransitionReason::Tripped, rules);
        }
        self.until = self.until.max(now.saturating_add(length));
        true
    }

    /// Records that an answer of this generation asked callers to wait: until the latest of these
    /// times the next opening lasts.
    pub(crate) fn asked_to_wait(&mut self, now: u64, wait: u64) {
        let ends = |asked: Asked| asked.at.saturating_add(asked.wait);
        let asked = Asked { at: now, wait };
        if ends(asked) > ends(self.asked) {
            self.asked = asked;
        }
    }

    /// Records the end of a probe of this generation: failed, succeeded, or `None` when it is not
    /// counted. Returns `true` when it opens the breaker. A probe that lost its place counts like
    /// any other.
    pub(crate) fn probed(
        &mut self,
        ticket: u16,
        failed: Option<bool>,
        ended: Ended,
        rules: &Settings,
    ) -> bool {
        self.release(ticket);
        match failed {
            Some(true) => {
                self.open(ended, TransitionReason::ProbeFailed, rules);
                return true;
            }
            Some(false) => {
                self.took = ended.took;
                if self.probes.succeed(rules) {
                    self.recover(ended.at, rules);
                }
            }
            None => {}
        }
        false
    }

    fn recover(&mut self, now: u64, rules: &Settings) {
        if rules.ramp.is_some() {
            self.enter(State::Recovering, TransitionReason::ProbesSucceeded);
            self.ramp = Ramp::start(now, rules);
        } else {
            self.close(now, TransitionReason::ProbesSucceeded);
        }
    }

    fn close(&mut self, now: u64, reason: TransitionReason) {
        self.enter(State::Closed, reason);
        self.opening.closed(now);
    }

    /// Releases the place of a probe, if it still has one, or that of a call of the ramp.
    pub(crate) fn release(&mut self, ticket: u16) {
        if self.stamp.state() == State::Recovering {
            self.ramp.release();
        } else {
            self.probes.release(ticket);
        }
    }

    /// Sets a state by hand; [`State::Closed`] restarts the machine.
    pub(crate) fn force(&mut self, state: State) {
        self.enter(state, TransitionReason::Set);
        self.opening = Opening::default();
    }

    fn open(&mut self, ended: Ended, reason: TransitionReason, rules: &Settings) {
        self.took = ended.took;
        let asked = self.asked;
        self.enter(State::Open, reason);
        let length = self.opening.start(ended.at, rules);
        // What is left of the wait, since the body may have ended long after the head.
        let longest = rules.max_retry_after.map_or(0, nanos);
        let passed = ended.at.saturating_sub(asked.at);
        let asked = asked.wait.min(longest).saturating_sub(passed);
        let length = jittered(length.max(asked), rules.jitter, self.dice.f64());
        self.until = ended.at.saturating_add(length);
    }

    /// Starts a new generation: probes of earlier ones hold no place and are not counted.
    fn enter(&mut self, state: State, reason: TransitionReason) {
        self.stamp = Stamp::new(self.stamp.generation() + 1, state);
        self.reason = reason;
        self.asked = Asked::default();
        self.probes.clear();
    }

    /// Probes, or calls of the ramp, that hold a place.
    pub(crate) fn running(&self) -> usize {
        match self.stamp.state() {
            State::Recovering => self.ramp.running() as usize,
            _ => self.probes.running(),
        }
    }

    /// How many calls may run at a time: `None` while the state has no limit.
    pub(crate) fn limit(&self, rules: &Settings) -> Option<u32> {
        match self.stamp.state() {
            State::Closed | State::ForcedClosed | State::Disabled => None,
            State::Open | State::ForcedOpen => Some(0),
            State::HalfOpen => Some(rules.probes_at_a_time),
            State::Recovering => Some(self.ramp.limit()),
        }
    }

    /// The time before which no request is admitted unless a call ends.
    ///
    /// Until then requests are rejected without the lock. 0: take the lock; the maximum: never.
    pub(crate) fn not_before(&self, rules: &Settings) -> u64 {
        match self.stamp.state() {
            State::Closed | State::ForcedClosed | State::Disabled => 0,
            State::Open => self.until,
            State::ForcedOpen => u64::MAX,
            State::HalfOpen => self.probes.not_before(rules),
            State::Recovering => self.ramp.not_before(),
        }
    }

    /// The longest retry hint. With all places taken, a place is released when a call ends, and the
    /// best estimate of that is the duration of the latest call that counted.
    pub(crate) fn longest_wait(&self, rules: &Settings) -> u64 {
        match self.stamp.state() {
            State::HalfOpen | State::Recovering => {
                self.took.max(SHORTEST_WAIT).min(nanos(rules.open_for))
            }
            _ => u64::MAX,
        }
    }

    /// The time until a request may be admitted: exact while open, an estimate while half-open or
    /// recovering, `None` while forced open.
    pub(crate) fn wait(&self, now: u64, rules: &Settings) -> Option<u64> {
        wait(now, self.not_before(rules), self.longest_wait(rules))
    }

    /// When this state may be evicted: without a request for as long again as it was open. `None`
    /// while it was set by hand.
    pub(crate) fn settles_at(&self) -> Option<u64> {
        match self.stamp.state() {
            State::Closed if self.opening.length() == 0 => Some(0),
            State::Closed => Some(self.opening.gone_at()),
            State::Open | State::HalfOpen | State::Recovering => {
                Some(self.until.saturating_add(self.opening.length()))
            }
            State::ForcedOpen | State::ForcedClosed | State::Disabled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Settings = Settings {
        jitter: 0.0,
        backoff: None,
        ..Settings::DEFAULT
    };
    const OPEN_FOR: u64 = 5_000_000_000;
    const MS: u64 = 1_000_000;
    const NOW: Ended = Ended { at: 0, took: 0 };
    const RATE: TransitionReason = TransitionReason::FailureRate;

    fn closed() -> Machine {
        Machine::new(fastrand::Rng::with_seed(1))
    }

    /// Open since 0.
    fn open() -> Machine {
        let mut machine = closed();
        assert!(machine.trip(machine.stamp(), NOW, RATE, &RULES));
        machine
    }

    #[test]
    fn law_11_the_machine_limits_probes() {
        // The breaker usually rejects before it takes the lock; requests that race past that check
        // are rejected here.
        let mut machine = open();
        let asked: Vec<Decision> = (0..5).map(|_| machine.ask(OPEN_FOR, &RULES)).collect();
        let rejected = Decision::Reject {
            wait: Some(SHORTEST_WAIT),
        };
        let probes = [0, 1, 2].map(Decision::Probe);
        assert_eq!(asked, [probes[0], probes[1], probes[2], rejected, rejected]);
    }

    #[test]
    fn an_open_machine_rejects_until_the_last_nanosecond() {
        let mut machine = open();
        let wait = Some(1);
        assert_eq!(machine.ask(OPEN_FOR - 1, &RULES), Decision::Reject { wait });
        assert_eq!(machine.not_before(&RULES), OPEN_FOR);
        assert_eq!(machine.ask(OPEN_FOR, &RULES), Decision::Probe(0));
        assert_eq!(machine.not_before(&RULES), 0, "there is a place left");
    }

    #[test]
    fn only_the_current_closed_generation_opens() {
        let mut machine = closed();
        let first = machine.stamp();
        assert!(machine.trip(first, NOW, RATE, &RULES));
        assert!(!machine.trip(first, NOW, RATE, &RULES));
        assert!(
            !machine.trip(machine.stamp(), NOW, RATE, &RULES),
            "open already"
        );
        machine.force(State::ForcedClosed);
        assert!(!machine.trip(machine.stamp(), NOW, RATE, &RULES));
    }

    #[test]
    fn a_half_open_machine_estimates_the_wait_from_the_latest_counted_call() {
        let ended = |took| Ended { took, ..NOW };
        for (took, wait) in [(0, 100 * MS), (300 * MS, 300 * MS), (60_000 * MS, OPEN_FOR)] {
            let mut machine = closed();
            assert!(machine.trip(machine.stamp(), ended(took), RATE, &RULES));
            assert_eq!(machine.wait(0, &RULES), Some(OPEN_FOR), "exact while open");
            for _ in 0..RULES.probes_at_a_time {
                assert!(matches!(machine.ask(OPEN_FOR, &RULES), Decision::Probe(_)));
            }
            assert_eq!(machine.wait(OPEN_FOR, &RULES), Some(wait));
            let overdue = 2 * OPEN_FOR;
            assert_eq!(machine.wait(overdue - 1, &RULES), Some(1));
            assert!(!machine.probed(0, Some(false), ended(200 * MS), &RULES));
            assert!(matches!(machine.ask(OPEN_FOR, &RULES), Decision::Probe(_)));
            assert_eq!(machine.wait(OPEN_FOR, &RULES), Some(200 * MS));
            assert!(!machine.probed(1, None, ended(900 * MS), &RULES));
            assert!(matches!(machine.ask(OPEN_FOR, &RULES), Decision::Probe(_)));
            assert_eq!(machine.wait(OPEN_FOR, &RULES), Some(200 * MS));
        }
    }
}
