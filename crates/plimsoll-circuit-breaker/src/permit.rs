//! The permit of a breaker.

use crate::{State, in_flight::NOT_COUNTED, state::Stamp};

/// The permit of a [`CircuitBreaker`](crate::CircuitBreaker): the state and the generation at
/// admission, and where the call is counted.
///
/// One word, since it is stored with every request. The highest 25 bits are the tag: the number of
/// a probe, or the slice of the admission for calls that are watched while in flight. The stamp is
/// below, with 36 bits for the generation, which grows by one per state transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreakerPermit(u64);

impl CircuitBreakerPermit {
    /// A permit of a call that is not counted.
    pub(crate) const UNCOUNTED: Self = Self::new(Stamp::new(0, State::Disabled), NOT_COUNTED);

    #[inline]
    pub(crate) const fn new(stamp: Stamp, tag: u32) -> Self {
        Self((tag as u64) << Stamp::BITS | stamp.0)
    }

    #[inline]
    pub(crate) const fn stamp(self) -> Stamp {
        Stamp(self.0 & ((1 << Stamp::BITS) - 1))
    }

    /// The word: of a permit without a tag, that of its stamp.
    #[inline]
    pub(crate) const fn word(self) -> u64 {
        self.0
    }

    /// The number of a probe.
    pub(crate) const fn ticket(self) -> u16 {
        self.tag() as u16
    }

    /// The slice of the admission, or [`NOT_COUNTED`].
    pub(crate) const fn tag(self) -> u32 {
        (self.0 >> Stamp::BITS) as u32
    }

    /// Whether the permit has a tag.
    #[inline]
    pub(crate) const fn is_watched(self) -> bool {
        self.tag() != NOT_COUNTED
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
