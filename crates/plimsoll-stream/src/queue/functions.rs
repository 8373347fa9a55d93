//! The caller's functions.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use plimsoll_core::Priority;

use super::{
    error::InvalidQueue, outcome::Lost, plan::About, policy::QueuePolicy, reason::DropReason,
};
use crate::key_hash::KeyHash;

type OnItem<T, R> = Option<Box<dyn Fn(&T) -> R + Send + Sync>>;
type OnDrop<T> = Option<Box<dyn Fn(&T, DropReason) + Send + Sync>>;

/// The functions that a caller gave at construction.
pub(crate) struct Functions<T> {
    /// Whether there is a weight, a priority or a key.
    pub(crate) describe: bool,
    pub(crate) weight: OnItem<T, usize>,
    pub(crate) priority: OnItem<T, Priority>,
    pub(crate) key: OnItem<T, KeyHash>,
    pub(crate) on_drop: OnDrop<T>,
}

impl<T> Functions<T> {
    /// Checks that a policy can be used with these functions.
    pub(crate) fn check(&self, policy: QueuePolicy) -> Result<(), InvalidQueue> {
        let missing = |function| InvalidQueue::Missing {
            policy: policy.name(),
            function,
        };
        match policy {
            QueuePolicy::Block { timeout } if timeout == Some(Duration::ZERO) => {
                Err(InvalidQueue::Timeout)
            }
            QueuePolicy::DropExpired { ttl } if ttl.is_zero() => Err(InvalidQueue::Ttl),
            QueuePolicy::DropLowestPriority if self.priority.is_none() => Err(missing("priority")),
            QueuePolicy::Coalesce if self.key.is_none() => Err(missing("key")),
            _ => Ok(()),
        }
    }

    /// Whether there is a function that describes items.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    pub(crate) fn describes(&self) -> bool {
        self.describe
    }

    /// Asks the caller's functions about an item, outside of the lock.
    #[inline]
    pub(crate) fn about(&self, item: &T) -> About {
        if self.describe {
            self.ask(item)
        } else {
            About::default()
        }
    }

    #[inline(never)]
    fn ask(&self, item: &T) -> About {
        let Functions {
            weight,
            priority,
            key,
            ..
        } = self;
        About {
            weight: weight.as_ref().map_or(0, |weight| weight(item)),
            level: priority
                .as_ref()
                .map_or(0, |priority| usize::from(priority(item).level())),
            key: key.as_ref().map(|key| key(item)),
        }
    }

    /// Reports lost items to the hook.
    #[inline]
    pub(crate) fn report(&self, lost: &Lost<T>) {
        if !lost.is_empty() && self.on_drop.is_some() {
            self.report_each(lost);
        }
    }

    #[inline(never)]
    fn report_each(&self, lost: &Lost<T>) {
        if let Some(on_drop) = &self.on_drop {
            // A panic of the hook neither fails the send nor loses an item. The panic hook of the
            // process has reported it.
            lost.for_each(|item, reason| {
                _ = catch_unwind(AssertUnwindSafe(|| on_drop(item, reason)));
            });
        }
    }
}
