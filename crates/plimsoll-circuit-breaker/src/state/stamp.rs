//! A state and its generation, in one word.

use std::fmt;

/// The state of a breaker: closed admits, open rejects, half-open probes, recovering ramps up.
#[doc(alias("half-open"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Admits all requests, and opens when the failure rate or the slow-call rate is reached.
    Closed,
    /// Admits all requests, whatever their outcomes, until the state is changed by hand.
    ForcedClosed,
    /// Admits all requests and counts nothing, until the state is changed by hand.
    Disabled,
    /// Rejects all requests until the opening has passed. The next request then ends the state: no
    /// timer runs.
    Open,
    /// Rejects all requests until the state is changed by hand.
    ForcedOpen,
    /// Admits a few probes. Their results decide the next state.
    HalfOpen,
    /// Admits a number of concurrent requests that doubles step by step. The first request after
    /// the ramp closes the breaker; a rate that is reached opens it.
    Recovering,
}

impl State {
    pub(super) const ALL: [Self; 7] = [
        Self::Closed,
        Self::ForcedClosed,
        Self::Disabled,
        Self::Open,
        Self::ForcedOpen,
        Self::HalfOpen,
        Self::Recovering,
    ];

    /// The names of all states, each at the position of its state.
    pub(crate) const NAMES: [&'static str; Self::ALL.len()] = {
        let mut names = [""; Self::ALL.len()];
        let mut place = 0;
        while place < names.len() {
            names[place] = Self::ALL[place].as_str();
            place += 1;
        }
        names
    };

    /// Returns a lower-case name for labels and messages, such as `half-open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ForcedClosed => "forced-closed",
            Self::Disabled => "disabled",
            Self::Open => "open",
            Self::ForcedOpen => "forced-open",
            Self::HalfOpen => "half-open",
            Self::Recovering => "recovering",
        }
    }

    /// Whether the state was set by hand, and stays until it is changed by hand.
    pub(crate) const fn is_by_hand(self) -> bool {
        matches!(self, Self::ForcedClosed | Self::ForcedOpen | Self::Disabled)
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
    /// Bits of a stamp: 3 for the state, 36 for the generation. A generation per millisecond
    /// repeats after two years.
    pub(crate) const BITS: u32 = 39;
    const STATE_BITS: u32 = 3;
    const STATE: u64 = (1 << Self::STATE_BITS) - 1;

    pub(crate) const fn new(generation: u64, state: State) -> Self {
        Self((generation << Self::STATE_BITS | state as u64) & ((1 << Self::BITS) - 1))
    }

    pub(crate) const fn generation(self) -> u64 {
        self.0 >> Self::STATE_BITS
    }

    pub(crate) fn state(self) -> State {
        let index = (self.0 & Self::STATE) as usize;
        State::ALL.get(index).copied().unwrap_or(State::Closed)
    }

    /// Closed, forced closed or disabled: one comparison on the path of every request.
    #[inline]
    pub(crate) const fn admits(self) -> bool {
        self.0 & Self::STATE <= State::Disabled as u64
    }

    /// Closed or forced closed: admits, and outcomes enter the window.
    #[inline]
    pub(crate) const fn admits_and_counts(self) -> bool {
        self.0 & Self::STATE <= State::ForcedClosed as u64
    }

    /// Whether outcomes of calls with this stamp enter the window.
    pub(crate) const fn counts(self) -> bool {
        self.admits_and_counts() || self.0 & Self::STATE == State::Recovering as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_round_trips_state_and_generation() {
        for state in State::ALL {
            for generation in [0, 1, 1 << 35] {
                let stamp = Stamp::new(generation, state);
                assert_eq!((stamp.state(), stamp.generation()), (state, generation));
                let closed = matches!(state, State::Closed | State::ForcedClosed);
                assert_eq!(stamp.admits_and_counts(), closed);
                assert_eq!(stamp.admits(), closed || state == State::Disabled);
                assert_eq!(stamp.counts(), closed || state == State::Recovering);
            }
        }
    }
}
