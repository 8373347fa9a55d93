//! The value of a limit: set, moved by an algorithm within bounds, or pinned.

use std::{
    ops::RangeInclusive,
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

use crate::{InvalidConcurrencyLimit, sync::AtomicU32};

/// The highest limit, in requests: it fits the 31 bits for the count in the word of the slots.
/// `settings` fails with another value.
const MAX_LIMIT: usize = 1 << 30;

/// A limit, its bounds and its pin.
///
/// Every request reads the limit; bounds and pin are read only when the limit moves.
#[derive(Debug)]
pub(crate) struct Value {
    limit: AtomicU32,
    /// The lower bound in the upper half, the upper bound in the lower half.
    bounds: AtomicU64,
    /// The pinned value; 0 when not pinned.
    pinned: AtomicU32,
}

impl Value {
    pub(crate) fn new(limit: usize) -> Result<Self, InvalidConcurrencyLimit> {
        Ok(Self {
            limit: AtomicU32::new(checked(limit)?),
            bounds: AtomicU64::new(1 << 32 | MAX_LIMIT as u64),
            pinned: AtomicU32::new(0),
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
    ///
    /// Bounds and pin may change concurrently, so they are read again after the limit was stored:
    /// whichever thread is last, the limit is within the new bounds.
    pub(crate) fn move_to(&self, limit: usize) -> Result<(), InvalidConcurrencyLimit> {
        let wanted = checked(limit)?;
        let mut allowed = self.allowed(wanted);
        loop {
            self.limit.store(allowed, SeqCst);
            let now = self.allowed(wanted);
            if now == allowed {
                return Ok(());
            }
            allowed = now;
        }
    }

    fn allowed(&self, limit: u32) -> u32 {
        self.pinned().unwrap_or_else(|| {
            let (min, max) = self.bounds().into_inner();
            limit.clamp(min, max)
        })
    }

    pub(crate) fn bounds(&self) -> RangeInclusive<u32> {
        let pair = self.bounds.load(SeqCst);
        (pair >> 32) as u32..=pair as u32
    }

    pub(crate) fn set_bounds(&self, within: &RangeInclusive<u32>) {
        let pair = u64::from(*within.start()) << 32 | u64::from(*within.end());
        self.bounds.store(pair, SeqCst);
        _ = self.move_to(self.get() as usize);
    }

    pub(crate) fn pinned(&self) -> Option<u32> {
        Some(self.pinned.load(SeqCst)).filter(|limit| *limit > 0)
    }

    /// Pins the limit; `None` unpins it.
    pub(crate) fn pin(&self, limit: Option<usize>) -> Result<(), InvalidConcurrencyLimit> {
        let pinned = limit.map_or(Ok(0), checked)?;
        self.pinned.store(pinned, SeqCst);
        self.move_to(self.get() as usize)
    }
}

/// Checks bounds for a limit.
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
