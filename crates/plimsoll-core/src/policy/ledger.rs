//! The counters and the retry hint that every shedding policy has.
//!
//! For the crates of this family: load shedding, and the client's side of it.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::{
    count::Counter,
    figures::{self, Figure},
    priority::Criticality,
    rejection::{Kind, Rejection},
};

/// The default retry hint: 1 second.
pub const DEFAULT_HINT: Duration = Duration::from_secs(1);
const LONGEST_HINT: Duration = Duration::from_secs(86_400);

/// The retry hint of rejections, and counts of both decisions.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The retry hint.
    pub retry_after: Hint,
    /// Admitted requests.
    pub admitted: Tally,
    /// Rejected requests.
    pub shed: Tally,
}

impl Ledger {
    /// Counts and makes a rejection. `threshold` is announced when it is given.
    #[cold]
    pub fn reject(
        &self,
        policy: &'static str,
        criticality: Criticality,
        threshold: Option<u16>,
    ) -> Rejection {
        self.shed.add(criticality);
        let rejection = Rejection::new(policy, Kind::Full).with_retry_after(self.retry_after.get());
        match threshold {
            Some(threshold) => rejection.with_threshold(threshold),
            None => rejection,
        }
    }

    /// Passes both counts of each criticality to `each`.
    pub fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        let counts = [
            (&figures::ADMITTED_AS, &self.admitted),
            (&figures::SHED_AS, &self.shed),
        ];
        for (figures, tally) in counts {
            for (figure, criticality) in figures.iter().zip(Criticality::ALL) {
                each(figure, tally.get(criticality) as f64);
            }
        }
    }
}

/// A retry hint that is zero or longer than a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HintOutOfBounds(pub Duration);

/// The retry hint of rejections.
#[derive(Debug)]
pub struct Hint(AtomicU64);

impl Hint {
    /// Reads the hint.
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }

    /// Changes the hint.
    ///
    /// # Errors
    ///
    /// When it is zero or more than 1 day. On error nothing changes.
    pub fn set(&self, hint: Duration) -> Result<(), HintOutOfBounds> {
        if hint.is_zero() || hint > LONGEST_HINT {
            return Err(HintOutOfBounds(hint));
        }
        self.0.store(hint.as_nanos() as u64, Relaxed);
        Ok(())
    }
}

impl Default for Hint {
    fn default() -> Self {
        Self(AtomicU64::new(DEFAULT_HINT.as_nanos() as u64))
    }
}

/// One counter per criticality, and a second one for subtractions, since a `Counter` only goes up.
#[derive(Debug, Default)]
pub struct Tally {
    added: [Counter; 4],
    taken_back: [Counter; 4],
}

impl Tally {
    /// Adds one.
    #[inline]
    pub fn add(&self, criticality: Criticality) {
        self.added[criticality as usize].add();
    }

    /// Subtracts one: a later policy rejected the request.
    #[cold]
    pub fn take_back(&self, criticality: Criticality) {
        self.taken_back[criticality as usize].add();
    }

    /// The count of a criticality.
    pub fn get(&self, criticality: Criticality) -> u64 {
        // Read first: a request is added before it is subtracted, so the difference is never
        // negative.
        let taken_back = self.taken_back[criticality as usize].get();
        self.added[criticality as usize]
            .get()
            .saturating_sub(taken_back)
    }
}

/// The methods of all handles that read or set the [`Ledger`]. One macro keeps their docs alike.
#[doc(hidden)]
#[macro_export]
macro_rules! ledger_methods {
    ($invalid:ty) => {
        /// The retry hint of rejections.
        pub fn retry_after(&self) -> std::time::Duration {
            self.0.ledger.retry_after.get()
        }

        /// Changes the retry hint of rejections.
        ///
        /// # Errors
        ///
        /// When it is zero or more than 1 day. On error nothing changes.
        pub fn set_retry_after(&self, hint: std::time::Duration) -> Result<(), $invalid> {
            Ok(self.0.ledger.retry_after.set(hint)?)
        }

        /// Requests of this criticality that were admitted by this policy and by those after it.
        pub fn admitted(&self, criticality: $crate::Criticality) -> u64 {
            self.0.ledger.admitted.get(criticality)
        }

        /// Requests of this criticality that were shed.
        pub fn shed(&self, criticality: $crate::Criticality) -> u64 {
            self.0.ledger.shed.get(criticality)
        }
    };
}
