//! The state machine: plain data; events and times are passed in. No clock, no atomics, no locks.
//!
//! ```text
//!            failure rate reached                    first request after `open_for`
//!   Closed ───────────────────────► Open ────────────────────────────────────────────► HalfOpen
//!      ▲                             ▲                                                     │
//!      │                             └───────────── a probe failed ────────────────────────┤
//!      └─────────────────────────────────────────── enough probes succeeded ───────────────┘
//! ```
//!
//! Every arrow starts a new generation. Times are nanoseconds since one epoch.

use std::fmt;

use crate::settings::{Settings, jittered, nanos};

/// The state of a breaker: closed admits, open rejects, half-open probes.
#[doc(alias("half-open"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Admits all requests, and opens when the failure rate is reached.
    Closed,
    /// Admits all requests, whatever their outcomes, until the state is changed by hand.
    ForcedClosed,
    /// Rejects all requests until `open_for` has passed. The next request then ends the state: no
    /// timer runs.
    Open,
    /// Rejects all requests until the state is changed by hand.
    ForcedOpen,
    /// Admits a few probes, and closes or opens by their results.
    HalfOpen,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Closed,
        Self::ForcedClosed,
        Self::Open,
        Self::ForcedOpen,
        Self::HalfOpen,
    ];

    /// A lower-case name for labels and messages, such as `half-open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ForcedClosed => "forced-closed",
            Self::Open => "open",
            Self::ForcedOpen => "forced-open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A state and its generation, in one word. A permit carries the stamp of its admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(pub(crate) u64);

impl Stamp {
    const STATE_BITS: u32 = 3;

    pub(crate) const fn new(generation: u64, state: State) -> Self {
        Self(generation << Self::STATE_BITS | state as u64)
    }

    pub(crate) const fn generation(self) -> u64 {
        self.0 >> Self::STATE_BITS
    }

    pub(crate) fn state(self) -> State {
        let index = self.0 as usize & ((1 << Self::STATE_BITS) - 1);
        State::ALL.get(index).copied().unwrap_or(State::Closed)
    }

    /// Closed or forced closed: one comparison on the path of every request.
    #[inline]
    pub(crate) const fn admits(self) -> bool {
        self.0 & ((1 << Self::STATE_BITS) - 1) <= State::ForcedClosed as u64
    }
}

/// The shortest retry hint of a half-open breaker, in nanoseconds (100 ms), unless `open_for` is
/// shorter. Probes that fail at once take no time, and a caller that retries at once would be
/// rejected again. `the_hint_of_a_half_open_breaker_is_the_duration_of_a_probe` fails with another
/// value.
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
    /// Reject it, with this retry hint. `None` while forced open.
    Reject { wait: Option<u64> },
}

/// When a call that counted ended, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) at: u64,
    pub(crate) took: u64,
}

/// The place of a running probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    ticket: u16,
    /// From this time on another probe may take the place.
    overdue: u64,
}

/// The state of a breaker with all its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    stamp: Stamp,
    /// Open: the end of the opening.
    until: u64,
    /// The length of the latest opening in a row, without jitter; 0 when closed.
    opening: u64,
    /// Draws the jitter of each opening.
    dice: fastrand::Rng,
    /// Half-open: the duration of the latest call that counted.
    took: u64,
    /// Half-open: running probes, at most [`MAX_PROBES`](crate::error::MAX_PROBES).
    places: Vec<Place>,
    /// Half-open: the number of the next probe.
    next_ticket: u16,
    /// Half-open: probes that succeeded.
    succeeded: u32,
}

impl Machine {
    /// A closed machine. Each machine needs a generator with its own seed.
    pub(crate) const fn new(dice: fastrand::Rng) -> Self {
        let stamp = Stamp::new(0, State::Closed);
        Self {
            stamp,
            until: 0,
            opening: 0,
            dice,
            took: 0,
            places: Vec::new(),
            next_ticket: 0,
            succeeded: 0,
        }
    }

    pub(crate) const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Decides on a request.
    pub(crate) fn ask(&mut self, now: u64, rules: &Settings) -> Decision {
        match self.stamp.state() {
            State::Closed | State::ForcedClosed => Decision::Pass,
            State::ForcedOpen => Decision::Reject { wait: None },
            State::Open if now < self.until => Decision::Reject {
                wait: self.wait(now, rules),
            },
            State::Open => {
                self.enter(State::HalfOpen);
                self.probe(now, rules)
            }
            State::HalfOpen => self.probe(now, rules),
        }
    }

    fn probe(&mut self, now: u64, rules: &Settings) -> Decision {
        // As in Polly: a hanging probe loses its place after a timeout. Its result still counts.
        self.places.retain(|place| now < place.overdue);
        if self.places.len() >= rules.probes_at_a_time as usize {
            return Decision::Reject {
                wait: self.wait(now, rules),
            };
        }
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        let overdue = now.saturating_add(nanos(rules.probe_timeout));
        self.places.push(Place { ticket, overdue });
        Decision::Probe(ticket)
    }

    /// Opens after failures of calls admitted under `stamp`. Returns `false` when the stamp is
    /// outdated.
    pub(crate) fn trip(&mut self, stamp: Stamp, ended: Ended, rules: &Settings) -> bool {
        let current = self.stamp == stamp && stamp.state() == State::Closed;
        if current {
            self.open(ended, rules);
        }
        current
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
                self.open(ended, rules);
                return true;
            }
            Some(false) => {
                self.took = ended.took;
                self.succeeded += 1;
                if self.succeeded >= rules.successes {
                    self.enter(State::Closed);
                }
            }
            None => {}
        }
        false
    }

    /// Releases the place of a probe, if it still has one.
    pub(crate) fn release(&mut self, ticket: u16) {
        self.places.retain(|place| place.ticket != ticket);
    }

    /// Sets a state by hand; [`State::Closed`] restarts the machine.
    pub(crate) fn force(&mut self, state: State) {
        self.enter(state);
    }

    fn open(&mut self, ended: Ended, rules: &Settings) {
        self.opening = rules.next_opening(self.opening);
        self.took = ended.took;
        self.enter(State::Open);
        let length = jittered(self.opening, rules.jitter, self.dice.f64());
        self.until = ended.at.saturating_add(length);
    }

    /// Starts a new generation: probes of earlier ones hold no place and are not counted.
    fn enter(&mut self, state: State) {
        self.stamp = Stamp::new(self.stamp.generation() + 1, state);
        self.places.clear();
        self.succeeded = 0;
        if !matches!(state, State::Open | State::HalfOpen) {
            self.opening = 0;
        }
    }

    /// Probes that hold a place.
    pub(crate) fn probing(&self) -> usize {
        self.places.len()
    }

    /// The time before which no request is admitted unless a probe ends.
    ///
    /// Until then requests are rejected without the lock. 0: take the lock; the maximum: never.
    pub(crate) fn not_before(&self, rules: &Settings) -> u64 {
        match self.stamp.state() {
            State::Closed | State::ForcedClosed => 0,
            State::Open => self.until,
            State::ForcedOpen => u64::MAX,
            State::HalfOpen if self.places.len() < rules.probes_at_a_time as usize => 0,
            State::HalfOpen => self
                .places
                .iter()
                .map(|place| place.overdue)
                .min()
                .unwrap_or(0),
        }
    }

    /// The longest retry hint. Half-open with all places taken, a place is released when a probe
    /// ends, and the best estimate of that is the duration of the latest call that counted.
    pub(crate) fn longest_wait(&self, rules: &Settings) -> u64 {
        match self.stamp.state() {
            State::HalfOpen => self.took.max(SHORTEST_WAIT).min(nanos(rules.open_for)),
            _ => u64::MAX,
        }
    }

    /// The time until a request may be admitted: exact while open, an estimate while half-open,
    /// `None` while forced open.
    pub(crate) fn wait(&self, now: u64, rules: &Settings) -> Option<u64> {
        wait(now, self.not_before(rules), self.longest_wait(rules))
    }

    /// When this state may be evicted: without a request for as long again as it was open. `None`
    /// while it is forced.
    pub(crate) fn settles_at(&self) -> Option<u64> {
        match self.stamp.state() {
            State::Closed => Some(0),
            State::Open | State::HalfOpen => Some(self.until.saturating_add(self.opening)),
            State::ForcedOpen | State::ForcedClosed => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Settings = Settings {
        jitter: 0.0,
        ..Settings::DEFAULT
    };
    const OPEN_FOR: u64 = 5_000_000_000;
    const MS: u64 = 1_000_000;
    const NOW: Ended = Ended { at: 0, took: 0 };

    fn closed() -> Machine {
        Machine::new(fastrand::Rng::with_seed(1))
    }

    /// Open since 0.
    fn open() -> Machine {
        let mut machine = closed();
        assert!(machine.trip(machine.stamp(), NOW, &RULES));
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
        assert!(machine.trip(first, NOW, &RULES));
        assert!(!machine.trip(first, NOW, &RULES));
        assert!(!machine.trip(machine.stamp(), NOW, &RULES), "open already");
        machine.force(State::ForcedClosed);
        assert!(!machine.trip(machine.stamp(), NOW, &RULES));
    }

    #[test]
    fn a_half_open_machine_estimates_the_wait_from_the_latest_counted_call() {
        let ended = |took| Ended { at: 0, took };
        for (took, wait) in [(0, 100 * MS), (300 * MS, 300 * MS), (60_000 * MS, OPEN_FOR)] {
            let mut machine = closed();
            assert!(machine.trip(machine.stamp(), ended(took), &RULES));
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

    #[test]
    fn a_stamp_round_trips_state_and_generation() {
        for state in State::ALL {
            for generation in [0, 1, 1 << 40] {
                let stamp = Stamp::new(generation, state);
                assert_eq!((stamp.state(), stamp.generation()), (state, generation));
                let closed = matches!(state, State::Closed | State::ForcedClosed);
                assert_eq!(stamp.admits(), closed);
            }
        }
    }
}
