//! The handle that reads and changes a rate limit's quotas.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{InvalidQuota, InvalidWarmUp, Quota, WarmUp, calendar::Anchor, settings::Settings};

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

    /// Changes the quotas of the limit, for all its keys, from the next decision on. The names
    /// stay.
    ///
    /// The number of tokens taken stays the same. With 15 of a burst of 20 taken, 5 are left. When
    /// the burst becomes 100, 85 are left; when it becomes 10, none until 6 have been refilled. A
    /// debt of 1,000 tokens is refilled at the new rate, in at most 417 days. Changing a quota and
    /// changing it back frees no tokens.
    ///
    /// Windows keep their counts. Where windows begin at other times, the units that count at the
    /// change count in the new window. (Exception: a key without a decision during 16 changes.)
    ///
    /// A decision sees each quota before or after the change, never a mixture. Tokens taken before
    /// the change and refunded after it are refunded to the new quota, unless the algorithm or the
    /// window's edges have changed.
    ///
    /// # Errors
    ///
    /// As for [`RateLimit::new`](crate::RateLimit::new). Nothing is changed then.
    pub fn set_quotas(&self, quotas: [Quota; N]) -> Result<(), InvalidQuota> {
        self.0.set(quotas)
    }

    /// Sets the wall clock of calendar windows: at `now` it shows `since_1970`.
    ///
    /// `since_1970` is the time since 1970-01-01T00:00:00Z. A calendar window reads the wall clock
    /// once, when it is made. Call this after the wall clock was set, and in tests. It has no
    /// effect on other quotas.
    ///
    /// Requests that count at that time count in the window that contains the new time, even if
    /// that is another window.
    ///
    /// ```
    /// use std::time::Duration;
    /// use plimsoll_core::Instant;
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// let limit = RateLimit::new(Quota::per_calendar_day(1_000))?;
    /// let handle = limit.handle();
    /// // Ten minutes before midnight.
    /// handle.set_wall_clock(Instant::now(), Duration::from_secs(86_400 - 600));
    /// # Ok::<_, plimsoll_rate_limit::InvalidQuota>(())
    /// ```
    pub fn set_wall_clock(&self, now: Instant, since_1970: Duration) {
        self.0
            .set_anchor(Anchor::new(&self.0.epoch, now, since_1970));
    }

    /// Requests rejected, of all keys together.
    pub fn rejected(&self) -> u64 {
        self.0.rejected.get()
    }
}

impl RateLimitHandle {
    /// Returns the quota.
    pub fn quota(&self) -> Quota {
        self.quotas()[0]
    }

    /// Changes the quota; see [`set_quotas`](Self::set_quotas).
    ///
    /// # Errors
    ///
    /// As for [`RateLimit::new`](crate::RateLimit::new). Nothing is changed then.
    pub fn set_quota(&self, quota: Quota) -> Result<(), InvalidQuota> {
        self.set_quotas([quota])
    }

    /// Changes the warm-up from the next decision on. `false` when the limit has no warm-up.
    ///
    /// # Errors
    ///
    /// As for [`RateLimit::warm_up`](crate::RateLimit::warm_up). Nothing is changed then.
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
