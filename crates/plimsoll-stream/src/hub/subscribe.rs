//! The builder of a subscription.

use std::{fmt, sync::Arc};

use super::{
    cursor::Cursor,
    error::SubscribeError,
    lag::{Bounds, LagPolicy},
    shared::Shared,
    subscription::{Reset, ResetReason, Resumed, Start, Subscription},
};
use crate::sync::Ordering;

/// The settings of a [`Subscription`], checked together by [`subscribe`](Self::subscribe).
///
/// | setting | default |
/// |---|---|
/// | [`policy`](Self::policy) | [`LagPolicy::Skip`] |
/// | [`max_lag`](Self::max_lag) | the capacity of the hub |
/// | [`max_lag_bytes`](Self::max_lag_bytes) | the bytes that the hub keeps |
/// | [`after`](Self::after), [`from_oldest`](Self::from_oldest) | what is published from now on |
#[must_use = "a builder does nothing until `subscribe`"]
pub struct Subscriber<'a, T> {
    shared: &'a Arc<Shared<T>>,
    policy: LagPolicy,
    max_lag: Option<usize>,
    max_lag_bytes: Option<usize>,
    begin: Begin,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy)]
enum Begin {
    Now,
    Oldest,
    After(Cursor),
}

impl<'a, T> Subscriber<'a, T> {
    pub(crate) fn new(shared: &'a Arc<Shared<T>>) -> Self {
        Self {
            shared,
            policy: LagPolicy::default(),
            max_lag: None,
            max_lag_bytes: None,
            begin: Begin::Now,
        }
    }

    /// Sets what happens when the subscriber is too far behind.
    pub fn policy(mut self, policy: LagPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets how many items the subscriber may be behind: at most the capacity of the hub.
    pub fn max_lag(mut self, items: usize) -> Self {
        self.max_lag = Some(items);
        self
    }

    /// Sets how many bytes the subscriber may be behind: at most what the hub keeps.
    pub fn max_lag_bytes(mut self, bytes: usize) -> Self {
        self.max_lag_bytes = Some(bytes);
        self
    }

    /// Begins after the item that a client has received last.
    ///
    /// With [`LagPolicy::Coalesce`], that is possible as long as the latest items of all keys that
    /// have changed since are kept. If it is not possible, the subscription begins with the oldest item that is kept, and
    /// [`Subscription::resumed`] reports it.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.begin = Begin::After(cursor);
        self
    }

    /// Begins with the oldest item that is kept.
    pub fn from_oldest(mut self) -> Self {
        self.begin = Begin::Oldest;
        self
    }

    /// Subscribes. What is kept and what is published later are joined under one lock, without a
    /// gap or a duplicate.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] when the hub is closed or has too many subscribers, a bound is 0 or above
    /// that of the hub, or the policy is [`LagPolicy::Coalesce`] and the hub has no key.
    pub fn subscribe(self) -> Result<Subscription<T>, SubscribeError> {
        let bounds = self.bounds()?;
        let shared = self.shared;
        let number = shared.enter()?;
        let now = shared.now();
        let state = shared.lock();
        if state.closed {
            drop(state);
            shared.leave();
            return Err(SubscribeError::Closed);
        }
        let (last, oldest) = (state.log.last, state.log.oldest(now));
        let (next, resumed) = match self.begin {
            Begin::Now => (last + 1, Resumed::Live),
            Begin::Oldest => (oldest, Resumed::Live),
            Begin::After(cursor) => {
                // The latest item of each key that has changed since is all that is missing, unless
                // some key had to go.
                let latest = state.latest.as_ref();
                let latest = latest.filter(|_| bounds.policy == LagPolicy::Coalesce);
                let is_whole = latest.is_some_and(|latest| latest.evicted <= cursor.seq);
                let oldest_whole = if is_whole { 0 } else { oldest };
                resume(shared.epoch, cursor, oldest_whole, oldest, last)
            }
        };
        // A number that is kept or comes next is in a segment. One that is coalesced may not be, and
        // is not looked for in the newest, which is never evicted.
        let segment = state
            .log
            .segment(next)
            .unwrap_or_else(|| state.log.newest());
        let segment = Arc::clone(segment);
        drop(state);
        let figures = &shared.figures;
        match resumed {
            Resumed::Live => 0,
            Resumed::Complete => figures.hits.fetch_add(1, Ordering::Relaxed),
            Resumed::Reset(_) => figures.misses.fetch_add(1, Ordering::Relaxed),
        };
        Ok(Subscription::new(
            Arc::clone(shared),
            bounds,
            Start {
                segment,
                next,
                resumed,
                number,
            },
        ))
    }

    fn bounds(&self) -> Result<Bounds, SubscribeError> {
        let (capacity, max) = (self.shared.capacity, self.shared.max_bytes);
        let items = self.max_lag.map_or(capacity, |lag| lag as u64);
        if items == 0 || items > capacity {
            let lag = items;
            return Err(SubscribeError::MaxLag { lag, capacity });
        }
        let bytes = self.max_lag_bytes.map_or(max, |bytes| bytes as u64);
        if bytes == 0 || bytes > max || (max == u64::MAX && self.max_lag_bytes.is_some()) {
            let max = if max == u64::MAX { 0 } else { max };
            return Err(SubscribeError::MaxLagBytes { bytes, max });
        }
        if self.policy == LagPolicy::Coalesce && self.shared.key.is_none() {
            return Err(SubscribeError::NoKey);
        }
        let policy = self.policy;
        Ok(Bounds {
            policy,
            items,
            bytes,
        })
    }
}

/// Where a client with this cursor continues: from `whole` on nothing is missing.
fn resume(epoch: u64, cursor: Cursor, whole: u64, oldest: u64, last: u64) -> (u64, Resumed) {
    let reason = if cursor.epoch != epoch {
        ResetReason::UnknownEpoch
    } else if cursor.seq > last {
        ResetReason::NotPublished
    } else if cursor.seq + 1 < whole {
        ResetReason::TooOld
    } else {
        return (cursor.seq + 1, Resumed::Complete);
    };
    let reset = Reset {
        reason,
        from: cursor.seq,
        to: oldest - 1,
    };
    (oldest, Resumed::Reset(reset))
}

impl<T> fmt::Debug for Subscriber<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("policy", &self.policy)
            .field("max_lag", &self.max_lag)
            .field("max_lag_bytes", &self.max_lag_bytes)
            .field("begin", &self.begin)
            .finish_non_exhaustive()
    }
}
