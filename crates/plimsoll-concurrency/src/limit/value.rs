//! The value of a limit: set, moved by an algorithm within bounds, or pinned.

use std::{
    ops::RangeInclusive,
    sync::{PoisonError, atomic::Ordering::Relaxed},
};

use super::error::InvalidConcurrencyLimit;
use crate::sync::{AtomicU32, Mutex, MutexGuard};

const MAX_LIMIT: usize = 1 << 30;

/// A limit, its bounds and its pin.
#[derive(Debug)]
pub(crate) struct Value {
    /// Written under the lock of the rules. Read by every request, without it.
    limit: AtomicU32,
    rules: Mutex<Rules>,
}

/// What an algorithm's limit has to obey.
#[derive(Debug)]
struct Rules {
    min: u32,
    max: u32,
    pinned: Option<u32>,
}

impl Value {
    pub(crate) fn new(limit: usize) -> Result<Self, InvalidConcurrencyLimit> {
        let rules = Rules {
            min: 1,
            max: MAX_LIMIT as u32,
            pinned: None,
        };
        Ok(Self {
            limit: AtomicU32::new(checked(limit)?),
            rules: Mutex::new(rules),
        })
    }

    #[inline]
    pub(crate) fn get(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Sets the limit.
    pub(crate) fn set(&self, limit: usize) -> Result<(), InvalidConcurrencyLimit> {
        self.limit.store(checked(limit)?, Relaxed);
        Ok(())
    }

    /// Moves the limit as far as the bounds and the pin allow.
    pub(crate) fn move_to(&self, limit: usize) -> Result<(), InvalidConcurrencyLimit> {
        let limit = checked(limit)?;
        self.apply(&self.rules(), limit);
        Ok(())
    }

    pub(crate) fn bounds(&self) -> RangeInclusive<u32> {
        let rules = self.rules();
        rules.min..=rules.max
    }

    pub(crate) fn set_bounds(&self, within: &RangeInclusive<u32>) {
        let mut rules = self.rules();
        (rules.min, rules.max) = (*within.start(), *within.end());
        self.apply(&rules, self.get());
    }

    pub(crate) fn pinned(&self) -> Option<u32> {
        self.rules().pinned
    }

    /// Pins the limit; `None` lets it move again.
    pub(crate) fn pin(&self, limit: Option<usize>) -> Result<(), InvalidConcurrencyLimit> {
        let limit = limit.map(checked).transpose()?;
        let mut rules = self.rules();
        rules.pinned = limit;
        self.apply(&rules, self.get());
        Ok(())
    }

    fn apply(&self, rules: &Rules, limit: u32) {
        let limit = rules.pinned.unwrap_or(limit.clamp(rules.min, rules.max));
        self.limit.store(limit, Relaxed);
    }

    fn rules(&self) -> MutexGuard<'_, Rules> {
        // No code panics while it is held.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bounds for a limit.
pub(crate) fn checked_bounds(
    within: &RangeInclusive<usize>,
) -> Result<RangeInclusive<u32>, InvalidConcurrencyLimit> {
    let (min, max) = (*within.start(), *within.end());
    if min == 0 || min > max || max > MAX_LIMIT {
        return Err(InvalidConcurrencyLimit::Bounds { min, max });
    }
    Ok(min as u32..=max as u32)
}

fn checked(limit: usize) -> Result<u32, InvalidConcurrencyLimit> {
    if limit == 0 || limit > MAX_LIMIT {
        return Err(InvalidConcurrencyLimit::Limit(limit));
    }
    Ok(limit as u32)
}
