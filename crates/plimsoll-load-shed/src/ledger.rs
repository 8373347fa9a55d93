//! What every policy here counts, and tells those whom it refuses.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use plimsoll_core::{Counter, Criticality, Kind, Rejection};

use crate::InvalidLoadShed;

const DEFAULT_HINT: Duration = Duration::from_secs(1);
const LONGEST_HINT: Duration = Duration::from_secs(86_400);

/// The hint that refusals carry, and counts of both kinds of decisions.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) retry_after: Hint,
    pub(crate) admitted: Tally,
    pub(crate) shed: Tally,
}

impl Ledger {
    /// Counts a refusal, and makes it. `threshold` is for those who are told it.
    #[cold]
    pub(crate) fn refuse(
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
}

/// How long refused callers are told to stay away.
#[derive(Debug)]
pub(crate) struct Hint(AtomicU64);

impl Hint {
    pub(crate) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }

    pub(crate) fn set(&self, hint: Duration) -> Result<(), InvalidLoadShed> {
        if hint.is_zero() || hint > LONGEST_HINT {
            return Err(InvalidLoadShed::RetryAfter(hint));
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

/// A counter for each criticality, and one for what was taken back: counters only go up.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    added: [Counter; 4],
    taken_back: [Counter; 4],
}

impl Tally {
    #[inline]
    pub(crate) fn add(&self, criticality: Criticality) {
        self.added[criticality as usize].add();
    }

    /// One less: a later policy rejected the request.
    #[cold]
    pub(crate) fn take_back(&self, criticality: Criticality) {
        self.taken_back[criticality as usize].add();
    }

    pub(crate) fn get(&self, criticality: Criticality) -> u64 {
        // Before the others: what is taken back was added sooner.
        let taken_back = self.taken_back[criticality as usize].get();
        self.added[criticality as usize]
            .get()
            .saturating_sub(taken_back)
    }
}

/// The methods about the [`Ledger`] that all handles have: in each handle's own words a reader would look for differences.
macro_rules! ledger_methods {
    () => {
        /// The hint that refusals carry.
        pub fn retry_after(&self) -> std::time::Duration {
            self.0.ledger.retry_after.get()
        }

        /// Changes the hint that refusals carry.
        ///
        /// # Errors
        ///
        /// When it is zero or more than 1 day. Nothing is changed then.
        pub fn set_retry_after(
            &self,
            hint: std::time::Duration,
        ) -> Result<(), $crate::InvalidLoadShed> {
            self.0.ledger.retry_after.set(hint)
        }

        /// Requests of this criticality that were admitted, by this policy and by those after it.
        pub fn admitted(&self, criticality: plimsoll_core::Criticality) -> u64 {
            self.0.ledger.admitted.get(criticality)
        }

        /// Requests of this criticality that were shed.
        pub fn shed(&self, criticality: plimsoll_core::Criticality) -> u64 {
            self.0.ledger.shed.get(criticality)
        }
    };
}
pub(crate) use ledger_methods;
