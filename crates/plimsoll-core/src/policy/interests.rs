//! Which optional calls a policy needs.

/// The optional work of a gate that a policy needs, as returned by
/// [`Policy::interests`](crate::Policy::interests).
///
/// Starts from [`ALL`](Self::ALL) or [`NONE`](Self::NONE):
///
/// ```
/// use plimsoll_core::policy::Interests;
///
/// let interests = Interests::NONE.with_latency(true);
/// assert!(interests.latency() && !interests.announce());
/// ```
///
/// A gate reads the union of its policies' interests on every call. Policies return constants and
/// plain fields, so that the compiler removes the work that no policy needs.
///
/// Performance: the gate passes what it reads, since the compiler keeps an atomic load whose result is
/// not used, and then moves the response once more (`instructions`, `circuit-breaker@accept`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Interests {
    latency: bool,
    announce: bool,
    body_waits: bool,
}

impl Interests {
    /// Everything. The default of a policy: correct for each, and slower by a few instructions.
    pub const ALL: Self = Self {
        latency: true,
        announce: true,
        body_waits: true,
    };

    /// Nothing besides the decision and the end of the call.
    pub const NONE: Self = Self {
        latency: false,
        announce: false,
        body_waits: false,
    };

    /// The latency only.
    pub const LATENCY: Self = Self::NONE.with_latency(true);

    /// Announcements only.
    pub const ANNOUNCE: Self = Self::NONE.with_announce(true);

    /// Reports about bodies only.
    pub const BODY_WAITS: Self = Self::NONE.with_body_waits(true);

    /// Sets whether `finish` reads [`Outcome::latency`](crate::Outcome::latency). The answer may
    /// change with the settings.
    ///
    /// A gate saves a clock read per call when none of its policies reads the latency and it has no
    /// observer; `latency` is then the time to the end of the call.
    #[inline]
    pub const fn with_latency(mut self, latency: bool) -> Self {
        self.latency = latency;
        self
    }

    /// Sets whether [`announce`](crate::Policy::announce) does anything. The answer may change with
    /// the settings.
    ///
    /// If no policy of a gate announces, the gate calls none, and moves each response once less.
    #[inline]
    pub const fn with_announce(mut self, announce: bool) -> Self {
        self.announce = announce;
        self
    }

    /// Sets whether [`body_waits`](crate::Policy::body_waits) does anything. The answer must never
    /// change.
    ///
    /// If no policy of a gate watches bodies, the gate calls none.
    #[inline]
    pub const fn with_body_waits(mut self, body_waits: bool) -> Self {
        self.body_waits = body_waits;
        self
    }

    /// Returns whether `finish` reads the latency.
    #[must_use]
    #[inline]
    pub const fn latency(self) -> bool {
        self.latency
    }

    /// Returns whether `announce` does anything.
    #[must_use]
    #[inline]
    pub const fn announce(self) -> bool {
        self.announce
    }

    /// Returns whether `body_waits` does anything.
    #[must_use]
    #[inline]
    pub const fn body_waits(self) -> bool {
        self.body_waits
    }

    /// Returns whether all of `other` is in these interests.
    ///
    /// Performance: without branches, as measured (`instructions`, `fused-six@accept`).
    #[must_use]
    #[inline]
    #[allow(clippy::needless_bitwise_bool)]
    pub const fn contains(self, other: Self) -> bool {
        (self.latency | !other.latency)
            & (self.announce | !other.announce)
            & (self.body_waits | !other.body_waits)
    }

    /// Returns what at least one of two policies needs.
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self {
            latency: self.latency | other.latency,
            announce: self.announce | other.announce,
            body_waits: self.body_waits | other.body_waits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All eight sets.
    fn all() -> impl Iterator<Item = Interests> {
        (0_u8..8).map(|bits| {
            Interests::NONE
                .with_latency(bits & 1 != 0)
                .with_announce(bits & 2 != 0)
                .with_body_waits(bits & 4 != 0)
        })
    }

    #[test]
    fn each_interest_is_read_as_it_was_set() {
        for (bits, interests) in all().enumerate() {
            assert_eq!(interests.latency(), bits & 1 != 0);
            assert_eq!(interests.announce(), bits & 2 != 0);
            assert_eq!(interests.body_waits(), bits & 4 != 0);
        }
    }

    #[test]
    fn a_set_contains_another_when_their_union_is_itself() {
        for (one, other) in all().flat_map(|one| all().map(move |other| (one, other))) {
            assert_eq!(
                one.contains(other),
                one.union(other) == one,
                "{one:?} {other:?}"
            );
        }
    }
}
