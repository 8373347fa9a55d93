//! The permit of a breaker.

use crate::{State, state::Stamp};

/// The permit of a [`CircuitBreaker`](crate::CircuitBreaker): the state and the generation at admission, and the number of
/// a probe.
///
/// One word, since it is stored with every request: the ticket in the highest 16 bits, the stamp
/// below. That leaves 45 bits for the generation, which grows by one per state transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreakerPermit(u64);

impl CircuitBreakerPermit {
    const STAMP_BITS: u32 = u64::BITS - u16::BITS;

    #[inline]
    pub(crate) const fn new(stamp: Stamp, ticket: u16) -> Self {
        Self((ticket as u64) << Self::STAMP_BITS | stamp.0)
    }

    #[inline]
    pub(crate) const fn stamp(self) -> Stamp {
        Stamp(self.0 & ((1 << Self::STAMP_BITS) - 1))
    }

    pub(crate) const fn ticket(self) -> u16 {
        (self.0 >> Self::STAMP_BITS) as u16
    }

    /// Whether the request is a probe.
    pub fn is_probe(&self) -> bool {
        self.stamp().state() == State::HalfOpen
    }

    /// The generation at admission. A result that arrives in another generation is not counted.
    pub const fn generation(&self) -> u64 {
        self.stamp().generation()
    }
}
