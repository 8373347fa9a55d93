//! The handle that reads and changes a rate limit's quotas.

use std::sync::Arc;

use crate::{InvalidQuota, InvalidWarmUp, Quota, WarmUp, settings::Settings};

/// Reads and changes a [`RateLimit`](crate::RateLimit) while it is in use. Clones share it.
#[derive(Debug)]
pub struct RateLimitHandle<const N: usize = 1>(Arc<Settings<N>>);

impl<const N: usize> RateLimitHandle<N> {
    pub(crate) fn new(settings: Arc<Settings<N>>) -> Self {
        Self(settings)
    }

    /// The quotas, in the order in which they were given.
    pub fn quotas(&self) -> [Quota; N] {
        std::array::from_fn(|index| {
            let quota = Quota::from_words(self.0.quotas[index].read().1);
            match self.0.names[index] {
                Some(name) => quota.named(name),
                None => quota,
            }
        })
    }

    /// Changes the quotas of the limit, and of all its keys, from the next decision on. Their names stay.
    ///
    /// What has been spent stays spent: a caller who has used up 15 of a burst of 20 has 5 left of it, 85 when the
    /// burst becomes 100, and none, until the next token, when it becomes 10. A decision sees each quota as it was or as it
    /// is, never a mixture. What was taken before the change and revoked after a decision under the new quota is not
    /// given back.
    ///
    /// # Errors
    ///
    /// As for [`RateLimit::new`](crate::RateLimit::new); nothing has changed then.
    pub fn set_quotas(&self, quotas: [Quota; N]) -> Result<(), InvalidQuota> {
        let mut words = [[0; 4]; N];
        for (words, quota) in words.iter_mut().zip(quotas) {
            *words = quota.words()?;
        }
        for (live, words) in self.0.quotas.iter().zip(words) {
            live.set(words);
        }
        Ok(())
    }

    /// Requests refused, of all keys together.
    pub fn refused(&self) -> u64 {
        self.0.refused.get()
    }
}

impl RateLimitHandle {
    /// The quota.
    pub fn quota(&self) -> Quota {
        self.quotas()[0]
    }

    /// Changes the quota; see [`set_quotas`](Self::set_quotas).
    ///
    /// # Errors
    ///
    /// As for [`RateLimit::new`](crate::RateLimit::new); nothing has changed then.
    pub fn set_quota(&self, quota: Quota) -> Result<(), InvalidQuota> {
        self.set_quotas([quota])
    }

    /// Changes the numbers of the warm-up, from the next decision on; `false` when the limit does not warm up.
    ///
    /// # Errors
    ///
    /// As for [`RateLimit::warm_up`](crate::RateLimit::warm_up); nothing has changed then.
    pub fn set_warm_up(&self, warm_up: WarmUp) -> Result<bool, InvalidWarmUp> {
        match self.0.warming.get() {
            Some(warming) => warming.set(warm_up).map(|()| true),
            None => Ok(false),
        }
    }
}

impl<const N: usize> Clone for RateLimitHandle<N> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
