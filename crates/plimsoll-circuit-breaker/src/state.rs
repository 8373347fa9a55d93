//! The machine: plain data that is told what happened and when. No clock, no atomics, no locks.
//!
//! ```text
//!            failure rate reached                    open_for is over, and somebody asks
//!   Closed ───────────────────────► Open ────────────────────────────────────────────► HalfOpen
//!      ▲                             ▲                                                     │
//!      │                             └───────────── a probe failed ────────────────────────┤
//!      └─────────────────────────────────────────── enough probes succeeded ───────────────┘
//! ```
//!
//! Every arrow starts a new generation. Times are nanoseconds of one epoch.

use std::fmt;

use crate::settings::{Settings, jittered, nanos};

/// What a breaker does with requests. Closed lets through, open refuses, half-open probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Lets everything through, and opens when too much of it fails.
    Closed,
    /// Lets everything through whatever happens, because somebody said so.
    ForcedClosed,
    /// Refuses everything, until it is time to probe. It stays open until somebody asks: no timer runs.
    Open,
    /// Refuses everything, because somebody said so.
    ForcedOpen,
    /// Lets a few probes through, and closes or opens on what becomes of them.
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

/// A state and the number of the generation it belongs to, in one word. A permit carries the one it was given under.
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

    /// Closed, by itself or by force: one comparison on the path of every request.
    #[inline]
    pub(crate) const fn lets_through(self) -> bool {
        self.0 & ((1 << Self::STATE_BITS) - 1) <= State::ForcedClosed as u64
    }
}

/// The least that a request rejected by a half-open breaker is asked to wait, in nanoseconds (100
/// ms), unless `open_for` is shorter. Probes that fail at once take no time, and a caller that
/// comes back at once would be rejected again. `a_half_open_breaker_hints_at_what_probes_take`
/// fails with another value.
const SHORTEST_WAIT: u64 = 100_000_000;

/// How long to wait until `not_before`, but at most `longest`; `None` for ever.
pub(crate) fn wait(now: u64, not_before: u64, longest: u64) -> Option<u64> {
    (not_before < u64::MAX).then(|| not_before.saturating_sub(now).min(longest))
}

/// What the machine says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is closed (by now).
    Pass,
    /// Go, as a probe with this ticket.
    Probe(u16),
    /// No; come back after this time. `None` while it is forced open.
    Refuse { wait: Option<u64> },
}

/// When a call ended that was judged, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) at: u64,
    pub(crate) took: u64,
}

/// A probe that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    ticket: u16,
    /// From then on another probe may take the place.
    overdue: u64,
}

/// The breaker's state with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    stamp: Stamp,
    /// Open: when the first probe may go.
    until: u64,
    /// How long the latest of the openings in a row is, without jitter; zero when closed.
    opening: u64,
    /// Draws the jitter of each opening.
    dice: fastrand::Rng,
    /// Half-open: how long the latest call took that was judged.
    took: u64,
    /// Half-open: probes that are out, at most [`MAX_PROBES`](crate::settings::MAX_PROBES).
    places: Vec<Place>,
    /// Half-open: the number of the next probe.
    next_ticket: u16,
    /// Half-open: probes that succeeded.
    succeeded: u32,
}

impl Machine {
    /// Closed. Each machine needs a generator with a seed of its own.
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

    /// A request asks to be let in.
    pub(crate) fn ask(&mut self, now: u64, rules: &Settings) -> Asked {
        match self.stamp.state() {
            State::Closed | State::ForcedClosed => Asked::Pass,
            State::ForcedOpen => Asked::Refuse { wait: None },
            State::Open if now < self.until => Asked::Refuse {
                wait: self.wait(now, rules),
            },
            State::Open => {
                self.enter(State::HalfOpen);
                self.probe(now, rules)
            }
            State::HalfOpen => self.probe(now, rules),
        }
    }

    fn probe(&mut self, now: u64, rules: &Settings) -> Asked {
        // Polly's remedy for a probe that hangs: let another through after a while. The late one may still report.
        self.places.retain(|place| now < place.overdue);
        if self.places.len() >= rules.probes_at_a_time as usize {
            return Asked::Refuse {
                wait: self.wait(now, rules),
            };
        }
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        let overdue = now.saturating_add(nanos(rules.probe_timeout));
        self.places.push(Place { ticket, overdue });
        Asked::Probe(ticket)
    }

    /// The calls let through under `stamp` failed too often. `false` when that is the past.
    pub(crate) fn trip(&mut self, stamp: Stamp, ended: Ended, rules: &Settings) -> bool {
        let current = self.stamp == stamp && stamp.state() == State::Closed;
        if current {
            self.open(ended, rules);
        }
        current
    }

    /// A probe of this generation is back: it failed, it succeeded, or it tells nothing. `true` when that opened the
    /// breaker. One whose place was taken meanwhile reports like any other.
    pub(crate) fn probed(
        &mut self,
        ticket: u16,
        failed: Option<bool>,
        ended: Ended,
        rules: &Settings,
    ) -> bool {
        self.give_back(ticket);
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

    /// A probe's place is free again, if it still had one.
    pub(crate) fn give_back(&mut self, ticket: u16) {
        self.places.retain(|place| place.ticket != ticket);
    }

    /// Somebody decides for the machine, or lets it start over with [`State::Closed`].
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

    /// Starts a new generation: what is out from earlier ones holds no place and counts nowhere.
    fn enter(&mut self, state: State) {
        self.stamp = Stamp::new(self.stamp.generation() + 1, state);
        self.places.clear();
        self.succeeded = 0;
        if !matches!(state, State::Open | State::HalfOpen) {
            self.opening = 0;
        }
    }

    /// Probes that hold a place.
    pub(crate) const fn probing(&self) -> usize {
        self.places.len()
    }

    /// Before this moment nothing is let through, unless a probe comes back: until then requests can be refused without
    /// asking. 0: ask; the maximum: for ever.
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

    /// The most that a rejected request is asked to wait. Half-open with all places taken, the next
    /// place is free when a probe ends, which takes as long as the latest call that was judged, as
    /// far as the machine knows.
    pub(crate) fn longest_wait(&self, rules: &Settings) -> u64 {
        match self.stamp.state() {
            State::HalfOpen => self.took.max(SHORTEST_WAIT).min(nanos(rules.open_for)),
            _ => u64::MAX,
        }
    }

    /// How long until a request may be admitted: exact while open, an estimate while half-open,
    /// `None` while it is forced open.
    pub(crate) fn wait(&self, now: u64, rules: &Settings) -> Option<u64> {
        wait(now, self.not_before(rules), self.longest_wait(rules))
    }

    /// When nothing is lost by forgetting this state: it was not asked for as long again as it was open. `None` as long
    /// as it is forced.
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
    fn law_11_the_machine_itself_limits_probes() {
        // The breaker refuses before it asks the machine when it can; those who race past that are refused here.
        let mut machine = open();
        let asked: Vec<Asked> = (0..5).map(|_| machine.ask(OPEN_FOR, &RULES)).collect();
        let refused = Asked::Refuse {
            wait: Some(SHORTEST_WAIT),
        };
        let probes = [0, 1, 2].map(Asked::Probe);
        assert_eq!(asked, [probes[0], probes[1], probes[2], refused, refused]);
    }

    #[test]
    fn open_refuses_to_the_last_nanosecond() {
        let mut machine = open();
        let wait = Some(1);
        assert_eq!(machine.ask(OPEN_FOR - 1, &RULES), Asked::Refuse { wait });
        assert_eq!(machine.not_before(&RULES), OPEN_FOR);
        assert_eq!(machine.ask(OPEN_FOR, &RULES), Asked::Probe(0));
        assert_eq!(machine.not_before(&RULES), 0, "there is a place left");
    }

    #[test]
    fn only_the_current_closed_generation_trips() {
        let mut machine = closed();
        let first = machine.stamp();
        assert!(machine.trip(first, NOW, &RULES));
        assert!(!machine.trip(first, NOW, &RULES));
        assert!(!machine.trip(machine.stamp(), NOW, &RULES), "open already");
        machine.force(State::ForcedClosed);
        assert!(!machine.trip(machine.stamp(), NOW, &RULES));
    }

    #[test]
    fn a_half_open_machine_estimates_the_wait_by_the_latest_judged_call() {
        let ended = |took| Ended { at: 0, took };
        for (took, wait) in [(0, 100 * MS), (300 * MS, 300 * MS), (60_000 * MS, OPEN_FOR)] {
            let mut machine = closed();
            assert!(machine.trip(machine.stamp(), ended(took), &RULES));
            assert_eq!(machine.wait(0, &RULES), Some(OPEN_FOR), "exact while open");
            for _ in 0..RULES.probes_at_a_time {
                assert!(matches!(machine.ask(OPEN_FOR, &RULES), Asked::Probe(_)));
            }
            assert_eq!(machine.wait(OPEN_FOR, &RULES), Some(wait));
            let overdue = 2 * OPEN_FOR;
            assert_eq!(machine.wait(overdue - 1, &RULES), Some(1));
            assert!(!machine.probed(0, Some(false), ended(200 * MS), &RULES));
            assert!(matches!(machine.ask(OPEN_FOR, &RULES), Asked::Probe(_)));
            assert_eq!(machine.wait(OPEN_FOR, &RULES), Some(200 * MS));
            assert!(!machine.probed(1, None, ended(900 * MS), &RULES));
            assert!(matches!(machine.ask(OPEN_FOR, &RULES), Asked::Probe(_)));
            assert_eq!(machine.wait(OPEN_FOR, &RULES), Some(200 * MS));
        }
    }

    #[test]
    fn a_stamp_keeps_state_and_generation() {
        for state in State::ALL {
            for generation in [0, 1, 1 << 40] {
                let stamp = Stamp::new(generation, state);
                assert_eq!((stamp.state(), stamp.generation()), (state, generation));
                let closed = matches!(state, State::Closed | State::ForcedClosed);
                assert_eq!(stamp.lets_through(), closed);
            }
        }
    }
}
