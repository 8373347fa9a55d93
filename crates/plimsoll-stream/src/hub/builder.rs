//! The builder of a hub.

use std::{fmt, hash::Hash, sync::Arc, time::Duration};

use super::{
    error::InvalidHub,
    latest::Latest,
    log::{Keep, Log},
    publisher::Hub,
    shared::{KeyOf, Settings, Shared, Weigh},
};
use crate::{
    clock::{Clock, nanos},
    key_hash::Secrets,
    queue::Weight,
};

/// How long items are kept for subscribers that come back, unless it is set.
///
/// 30 s, in which a browser has reconnected several times. Shorter, and a client that changes its
/// network misses items: `a_cursor_older_than_the_ttl_is_reset`.
const TTL: Duration = Duration::from_secs(30);

/// Subscribers of a hub, unless it is set.
///
/// 65,536, the connections of one address to one port, so that a larger number is a decision.
const MAX_SUBSCRIBERS: usize = 65_536;

/// The settings of a [`Hub`], checked together by [`build`](Self::build).
///
/// | setting | default |
/// |---|---|
/// | [`max_bytes`](Self::max_bytes) | no bound in bytes |
/// | [`ttl`](Self::ttl) | 30 s |
/// | [`key`](Self::key) | none: [`LagPolicy::Coalesce`](crate::LagPolicy::Coalesce) is not available |
/// | [`max_subscribers`](Self::max_subscribers) | 65,536 |
/// | [`epoch`](Self::epoch) | a random number |
#[must_use = "a builder does nothing until `build`"]
pub struct HubBuilder<T> {
    capacity: usize,
    max_bytes: Option<usize>,
    ttl: Option<Duration>,
    weigh: Option<Weigh<T>>,
    key: Option<(KeyOf<T>, usize)>,
    max_subscribers: usize,
    epoch: Option<u64>,
}

impl<T> Hub<T> {
    /// Makes a hub that keeps the last `capacity` items, for at most 30 s.
    ///
    /// # Errors
    ///
    /// [`InvalidHub::Capacity`] when the capacity is 0.
    pub fn new(capacity: usize) -> Result<Self, InvalidHub> {
        Self::builder(capacity).build()
    }

    /// Returns a builder with more settings.
    pub fn builder(capacity: usize) -> HubBuilder<T> {
        HubBuilder::new(capacity)
    }
}

impl<T> HubBuilder<T> {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            max_bytes: None,
            ttl: Some(TTL),
            weigh: None,
            key: None,
            max_subscribers: MAX_SUBSCRIBERS,
            epoch: None,
        }
    }

    /// Sets how many bytes of items are kept at most.
    pub fn max_bytes(self, bytes: usize) -> Self
    where
        T: Weight + 'static,
    {
        self.max_bytes_by(bytes, T::weight)
    }

    /// Sets how many bytes are kept at most, with a function for the weight of an item.
    ///
    /// It is called once per item, in the publisher's task and outside of the lock.
    pub fn max_bytes_by(
        mut self,
        bytes: usize,
        weight: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> Self {
        self.max_bytes = Some(bytes);
        self.weigh = Some(Box::new(weight));
        self
    }

    /// Sets how long an item is kept; `None` keeps it until there is no room.
    ///
    /// With a time to live, each publication reads the clock.
    pub fn ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Sets the key of an item, for subscribers that coalesce, and of how many keys the latest item
    /// is kept. Then the key that has not changed for the longest is given up.
    ///
    /// The function is called once per item, and the item cloned once more, in the publisher's task
    /// and outside of the lock.
    pub fn key<K: Hash>(
        mut self,
        max_keys: usize,
        key: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Self
    where
        T: Clone,
    {
        let secrets = Secrets::default();
        let keyed: KeyOf<T> =
            Box::new(move |item| (secrets.hash(&key(item)), Arc::new(item.clone())));
        self.key = Some((keyed, max_keys));
        self
    }

    /// Sets how many subscribers there are at most.
    pub fn max_subscribers(mut self, subscribers: usize) -> Self {
        self.max_subscribers = subscribers;
        self
    }

    /// Sets the epoch of the hub's [cursors](crate::Cursor).
    ///
    /// Two hubs, and two lives of one hub, need different epochs, or a client continues in the
    /// wrong place without notice.
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Makes the hub.
    ///
    /// # Errors
    ///
    /// [`InvalidHub`] when the capacity, a bound or the time to live is 0.
    pub fn build(self) -> Result<Hub<T>, InvalidHub> {
        let is_zero = |max: &Option<usize>| *max == Some(0);
        let max_keys = self.key.as_ref().map(|(_, max)| *max);
        if self.capacity == 0 {
            return Err(InvalidHub::Capacity);
        }
        if is_zero(&self.max_bytes) {
            return Err(InvalidHub::MaxBytes);
        }
        if self.ttl.is_some_and(|ttl| ttl.is_zero()) {
            return Err(InvalidHub::Ttl);
        }
        if self.max_subscribers == 0 {
            return Err(InvalidHub::MaxSubscribers);
        }
        if is_zero(&max_keys) {
            return Err(InvalidHub::MaxKeys);
        }
        let keep = Keep {
            items: self.capacity as u64,
            bytes: self.max_bytes.map_or(u64::MAX, |bytes| bytes as u64),
            ttl: self.ttl.map_or(u64::MAX, nanos),
        };
        let settings = Settings {
            epoch: self.epoch.unwrap_or_else(|| fastrand::u64(..)),
            capacity: keep.items,
            max_bytes: keep.bytes,
            clock: self.ttl.map(|_| Clock::new()),
            weigh: self.weigh,
            key: self.key.map(|(key, _)| key),
            max_subscribers: self.max_subscribers,
        };
        let shared = Shared::new(Log::new(keep), max_keys.map(Latest::new), settings);
        Ok(Hub::with(shared))
    }
}

impl<T> fmt::Debug for HubBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder")
            .field("capacity", &self.capacity)
            .field("max_bytes", &self.max_bytes)
            .field("ttl", &self.ttl)
            .field("max_subscribers", &self.max_subscribers)
            .finish_non_exhaustive()
    }
}
