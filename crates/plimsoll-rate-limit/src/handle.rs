//! The settings of a rate limit, and the handle that changes them.

use std::sync::{Arc, OnceLock};

use plimsoll_core::{Counter, Epoch, Live};

use crate::{InvalidQuota, Quota, bucket::LiveQuota};

/// What the cells of one limit share.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) quota: LiveQuota,
    pub(crate) epoch: Epoch,
    pub(crate) name: OnceLock<&'static str>,
    pub(crate) refused: Counter,
}

impl Settings {
    pub(crate) fn new(quota: Quota) -> Result<Self, InvalidQuota> {
        Ok(Self {
            quota: Live::new(quota.words()?),
            epoch: Epoch::new(),
            name: OnceLock::new(),
            refused: Counter::new(),
        })
    }
}

/// Reads and changes a [`RateLimit`](crate::RateLimit) while it is in use. Clones share it.
#[derive(Debug, Clone)]
pub struct RateLimitHandle(Arc<Settings>);

impl RateLimitHandle {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self(settings)
    }

    /// The quota.
    pub fn quota(&self) -> Quota {
        Quota::from_words(self.0.quota.read().1)
    }

    /// Changes the quota of the limit, and of all its keys, from the next decision on.
    ///
    /// What has been spent stays spent: a caller who has used up 15 of a burst of 20 has 5 left of it, 85 when the
    /// burst becomes 100, and none, until the next token, when it becomes 10. A decision sees the old quota or the new,
    /// never a mixture. A token taken before the change and revoked after a decision under the new quota is not
    /// given back.
    ///
    /// # Errors
    ///
    /// As for [`RateLimit::new`](crate::RateLimit::new); nothing has changed then.
    pub fn set_quota(&self, quota: Quota) -> Result<(), InvalidQuota> {
        self.0.quota.set(quota.words()?);
        Ok(())
    }

    /// The name under which the quota is told to callers, if it is.
    pub fn name(&self) -> Option<&'static str> {
        self.0.name.get().copied()
    }

    /// Requests refused, of all keys together.
    pub fn refused(&self) -> u64 {
        self.0.refused.get()
    }
}
