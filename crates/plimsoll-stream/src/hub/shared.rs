//! What publishers and subscribers of a hub share.

use std::sync::{Arc, PoisonError};

use super::{
    counters::HubCounters,
    cursor::Cursor,
    error::{PublishError, SubscribeError},
    latest::Latest,
    log::{Evicted, Log},
    parked::Lists,
};
use crate::{
    clock::Clock,
    key_hash::KeyHash,
    sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering},
};

/// The weight of an item in bytes.
pub(crate) type Weigh<T> = Box<dyn Fn(&T) -> usize + Send + Sync>;
/// The key of an item, with a copy of the item for subscribers that coalesce.
pub(crate) type KeyOf<T> = Box<dyn Fn(&T) -> (KeyHash, Arc<T>) + Send + Sync>;

/// What the lock protects.
pub(crate) struct State<T> {
    pub(crate) log: Log<T>,
    pub(crate) latest: Option<Latest<T>>,
    pub(crate) closed: bool,
}

pub(crate) struct Shared<T> {
    /// The number of the last item. Published before the subscribers are woken.
    last: AtomicU64,
    /// The weight of all items up to `last`, written before it.
    bytes: AtomicU64,
    state: Mutex<State<T>>,
    /// Whether the hub is closed, written after the number of the last item.
    closed: AtomicBool,
    pub(crate) lists: Lists,
    pub(crate) epoch: u64,
    pub(crate) capacity: u64,
    /// `u64::MAX` for no bound.
    pub(crate) max_bytes: u64,
    /// `None` without a time to live: the clock is not read.
    pub(crate) clock: Option<Clock>,
    pub(crate) weigh: Option<Weigh<T>>,
    pub(crate) key: Option<KeyOf<T>>,
    max_subscribers: usize,
    subscribers: AtomicUsize,
    pub(crate) figures: Figures,
}

/// Counters beside the number of published items. No order with other memory is needed.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) delivered: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(crate) disconnected: AtomicU64,
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
}

impl Figures {
    fn new() -> Self {
        Self {
            delivered: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            disconnected: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }
}

/// The settings that the builder has checked.
pub(crate) struct Settings<T> {
    pub(crate) epoch: u64,
    pub(crate) capacity: u64,
    pub(crate) max_bytes: u64,
    pub(crate) clock: Option<Clock>,
    pub(crate) weigh: Option<Weigh<T>>,
    pub(crate) key: Option<KeyOf<T>>,
    pub(crate) max_subscribers: usize,
}

impl<T> Shared<T> {
    pub(crate) fn new(log: Log<T>, latest: Option<Latest<T>>, settings: Settings<T>) -> Self {
        Self {
            last: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            state: Mutex::new(State {
                log,
                latest,
                closed: false,
            }),
            closed: AtomicBool::new(false),
            lists: Lists::new(),
            epoch: settings.epoch,
            capacity: settings.capacity,
            max_bytes: settings.max_bytes,
            clock: settings.clock,
            weigh: settings.weigh,
            key: settings.key,
            max_subscribers: settings.max_subscribers,
            subscribers: AtomicUsize::new(0),
            figures: Figures::new(),
        }
    }

    /// Locks the state. No code of the caller runs under the lock, so it is never poisoned.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the last item. Items up to it can be read.
    #[inline]
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// The weight of all items that were published, at least up to the last one that was read.
    #[inline]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The time of the clock, or 0.
    pub(crate) fn now(&self) -> u64 {
        self.clock.map_or(0, Clock::now)
    }

    pub(crate) fn cursor(&self, seq: u64) -> Cursor {
        Cursor {
            epoch: self.epoch,
            seq,
        }
    }

    /// Publishes an item, and returns its number and how many subscribers were woken.
    pub(crate) fn publish(&self, item: T) -> Result<(u64, usize), PublishError<T>> {
        let weight = self.weigh.as_ref().map_or(0, |weigh| weigh(&item));
        if weight as u64 > self.max_bytes {
            let max = usize::try_from(self.max_bytes).unwrap_or(usize::MAX);
            return Err(PublishError::TooLarge { item, weight, max });
        }
        let keyed = self.key.as_ref().map(|key| key(&item));
        let now = self.now();
        let mut evicted = Evicted::new();
        let mut replaced = None;

        let mut state = self.lock();
        if state.closed {
            return Err(PublishError::Closed(item));
        }
        let seq = state.log.push(item, weight as u64, now, &mut evicted);
        if let (Some(latest), Some((key, copy))) = (&mut state.latest, keyed) {
            replaced = latest.insert(key, (seq, copy));
        }
        self.bytes.store(state.log.bytes, Ordering::Relaxed);
        // Subscribers read items up to this number without the lock.
        self.last.store(seq, Ordering::Release);
        drop(state);

        // Outside of the lock: this runs code of the caller.
        drop((evicted, replaced));
        Ok((seq, self.lists.wake()))
    }

    pub(crate) fn close(&self) -> bool {
        let mut state = self.lock();
        let was_open = !state.closed;
        state.closed = true;
        self.closed.store(true, Ordering::Release);
        drop(state);
        self.lists.wake();
        was_open
    }

    /// Whether the hub is closed. Then [`last`](Self::last), read after it, is final.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Counts a new subscriber, and returns how many there were.
    pub(crate) fn enter(&self) -> Result<usize, SubscribeError> {
        let max = self.max_subscribers;
        let entered = self
            .subscribers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                (now < max).then_some(now + 1)
            });
        entered.map_err(|_| SubscribeError::Full { max })
    }

    pub(crate) fn leave(&self) {
        self.subscribers.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    pub(crate) fn counters(&self) -> HubCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HubCounters {
            published: self.last(),
            delivered: read(&self.figures.delivered) + self.lists.delivered(),
            gaps: read(&self.figures.gaps),
            missed: read(&self.figures.missed),
            disconnected: read(&self.figures.disconnected),
            replay_hits: read(&self.figures.hits),
            replay_misses: read(&self.figures.misses),
        }
    }
}
