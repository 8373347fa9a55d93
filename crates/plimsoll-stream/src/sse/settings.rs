//! The settings of a topic.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{
    hub::{Hub, HubBuilder, InvalidHub, LagPolicy},
    sse::{event::SseEvent, ladder::Marks, limits::Limits, topic::Topic, trace::Name},
    throttle::{InvalidThrottle, Throttle, ThrottleBuilder},
};

/// A setting of a topic is out of bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTopic {
    /// The token buckets of a client.
    #[error("client_throttle: {0}")]
    ClientThrottle(#[from] InvalidThrottle),
    /// The log.
    #[error(transparent)]
    Hub(#[from] InvalidHub),
    /// The buffer of a client is 0, or above the capacity.
    #[error("buffer is {buffer} events, it must be 1 to {capacity}, the capacity")]
    Buffer {
        /// The value.
        buffer: usize,
        /// The capacity.
        capacity: usize,
    },
    /// A mark is outside of 0 to 1, or the low one is not below the high one.
    #[error("marks are {low} and {high}, it must be 0 <= low < high <= 1")]
    Marks {
        /// The low mark.
        low: f64,
        /// The high mark.
        high: f64,
    },
    /// A time is 0.
    #[error("{field} is 0, it must be longer")]
    Zero {
        /// The setting.
        field: &'static str,
    },
    /// A number is 0.
    #[error("{field} is 0, it must be 1 or more")]
    None {
        /// The setting.
        field: &'static str,
    },
    /// The window is larger than the buffer, so that the buffer would never fill.
    #[error("acknowledge is {window} events, it must be 1 to {buffer}, the buffer")]
    Window {
        /// The value.
        window: u64,
        /// The buffer.
        buffer: usize,
    },
}

/// The settings of a [`Topic`], checked together by [`build`](Self::build).
///
/// | setting | default |
/// |---|---|
/// | [`capacity`](Self::capacity), [`max_bytes`](Self::max_bytes), [`ttl`](Self::ttl) | 4,000 events, 4 MiB, 30 s |
/// | [`buffer`](Self::buffer) | 1,000 events for each client |
/// | [`marks`](Self::marks) | 0.5 and 0.8 of the buffer |
/// | [`overflow`](Self::overflow) | 5 s |
/// | [`heartbeat`](Self::heartbeat) | 15 s |
/// | [`retry`](Self::retry) | 3 s |
/// | [`poll_every`](Self::poll_every), [`poll_events`](Self::poll_events) | 2 s, 500 events |
/// | [`max_clients`](Self::max_clients) | 10,000 |
/// | [`coalesce`](Self::coalesce) | off: a client that is too far behind misses the oldest events |
/// | [`client_throttle`](Self::client_throttle), [`throttle`](Self::throttle) | no limit |
/// | [`acknowledge`](Self::acknowledge), [`ack_timeout`](Self::ack_timeout) | off, 30 s |
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct TopicBuilder {
    name: Name,
    capacity: usize,
    max_bytes: usize,
    ttl: Duration,
    buffer: usize,
    marks: (f64, f64),
    overflow: Duration,
    heartbeat: Duration,
    retry: Duration,
    poll_every: Duration,
    poll_events: usize,
    max_clients: usize,
    coalesce: Option<usize>,
    window: Option<u64>,
    ack_timeout: Duration,
    client_throttle: Option<ThrottleBuilder>,
    throttle: Option<Throttle>,
    epoch: Option<u64>,
}

impl Topic {
    /// Returns a builder.
    pub fn builder() -> TopicBuilder {
        TopicBuilder::new()
    }
}

impl TopicBuilder {
    fn new() -> Self {
        Self {
            name: Name::default(),
            capacity: 4_000,
            max_bytes: 4 << 20,
            ttl: Duration::from_secs(30),
            buffer: 1_000,
            marks: (0.5, 0.8),
            overflow: Duration::from_secs(5),
            heartbeat: Duration::from_secs(15),
            retry: Duration::from_secs(3),
            poll_every: Duration::from_secs(2),
            poll_events: 500,
            max_clients: 10_000,
            coalesce: None,
            window: None,
            ack_timeout: Duration::from_secs(30),
            client_throttle: None,
            throttle: None,
            epoch: None,
        }
    }

    /// Sets the name of the topic in events of `tracing`: `topic` by default.
    #[cfg(feature = "tracing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Name(name.into());
        self
    }

    /// Sets how many events are kept, for clients that are behind or come back.
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }

    /// Sets how many bytes of events are kept at most.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how long an event is kept.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// Sets how many events a client may be behind. Beyond it, it lives on the overflow: what the
    /// topic keeps.
    pub fn buffer(mut self, events: usize) -> Self {
        self.buffer = events;
        self
    }

    /// Sets the marks, as shares of the buffer: above `high` a client is notified that it is slow,
    /// and at `low` that it has caught up.
    pub fn marks(mut self, low: f64, high: f64) -> Self {
        self.marks = (low, high);
        self
    }

    /// Sets for how long a client may live on the overflow, before it is moved to polling.
    pub fn overflow(mut self, time: Duration) -> Self {
        self.overflow = time;
        self
    }

    /// Sets after which time without a frame a heartbeat is sent. Proxies close a stream that is
    /// silent for longer than their own limit: 60 s for nginx.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.heartbeat = every;
        self
    }

    /// Sets after which time a browser comes back when its connection breaks.
    pub fn retry(mut self, after: Duration) -> Self {
        self.retry = after;
        self
    }

    /// Sets after which time a client that was moved to polling comes back, up to a quarter more by
    /// chance.
    pub fn poll_every(mut self, every: Duration) -> Self {
        self.poll_every = every;
        self
    }

    /// Sets how many events one poll returns at most.
    pub fn poll_events(mut self, events: usize) -> Self {
        self.poll_events = events;
        self
    }

    /// Sets how many streams there are at most.
    pub fn max_clients(mut self, clients: usize) -> Self {
        self.max_clients = clients;
        self
    }

    /// Keeps the latest event of each of up to `keys` [keys](crate::sse::SseEvent::key). A client that is behind by
    /// more than the topic keeps then receives these, and so does not miss a state for good.
    /// Events without a key are not replaced, and use a place each.
    pub fn coalesce(mut self, keys: usize) -> Self {
        self.coalesce = Some(keys);
        self
    }

    /// Limits each client by token buckets of its own, by events and by bytes.
    ///
    /// With [`throttle`](Self::throttle) they are within those of all clients.
    pub fn client_throttle(mut self, buckets: ThrottleBuilder) -> Self {
        self.client_throttle = Some(buckets);
        self
    }

    /// Limits all clients together, the poll endpoint included. Clones of the throttle can limit
    /// several topics together.
    pub fn throttle(mut self, all: &Throttle) -> Self {
        self.throttle = Some(all.clone());
        self
    }

    /// Expects acknowledgements: at most `window` events beyond the last one are sent.
    ///
    /// The only way to see that a page is slow: browser, proxy and kernel take thousands of events
    /// ahead of it.
    pub fn acknowledge(mut self, window: u64) -> Self {
        self.window = Some(window);
        self
    }

    /// Sets for how long a client may not acknowledge while its window is closed, before it is
    /// moved to polling.
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.ack_timeout = timeout;
        self
    }

    /// Sets the epoch of the ids, as [`HubBuilder::epoch`](crate::HubBuilder::epoch).
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Makes the topic.
    ///
    /// # Errors
    ///
    /// [`InvalidTopic`] names the setting and its bounds.
    pub fn build(self) -> Result<Topic, InvalidTopic> {
        let (low, high) = self.marks;
        if !(0.0 <= low && low < high && high <= 1.0) {
            return Err(InvalidTopic::Marks { low, high });
        }
        let (buffer, capacity) = (self.buffer, self.capacity);
        if capacity == 0 {
            return Err(InvalidHub::Capacity.into());
        }
        if buffer == 0 || buffer > capacity {
            return Err(InvalidTopic::Buffer { buffer, capacity });
        }
        for (field, time) in [
            ("overflow", self.overflow),
            ("heartbeat", self.heartbeat),
            ("retry", self.retry),
            ("poll_every", self.poll_every),
            ("ack_timeout", self.ack_timeout),
        ] {
            if time.is_zero() {
                return Err(InvalidTopic::Zero { field });
            }
        }
        for (field, number) in [
            ("poll_events", self.poll_events),
            ("max_clients", self.max_clients),
        ] {
            if number == 0 {
                return Err(InvalidTopic::None { field });
            }
        }
        if let Some(window) = self.window {
            if window == 0 || window > buffer as u64 {
                return Err(InvalidTopic::Window { window, buffer });
            }
        }
        let client_throttle = match (&self.client_throttle, &self.throttle) {
            (Some(own), Some(all)) => Some(own.clone().within(all)),
            (own, _) => own.clone(),
        };
        if let Some(own) = &client_throttle {
            own.clone().build()?;
        }
        let share = |mark: f64| (buffer as f64 * mark) as u64;
        let limits = Limits {
            name: self.name.clone(),
            marks: Marks {
                high: share(high),
                low: share(low),
                buffer: buffer as u64,
                overflow: self.overflow,
            },
            heartbeat: self.heartbeat,
            retry: self.retry,
            poll_every: self.poll_every,
            poll_events: self.poll_events,
            max_clients: self.max_clients,
            window: self.window,
            ack_timeout: self.ack_timeout,
            lag_policy: match self.coalesce {
                Some(_) => LagPolicy::Coalesce,
                None => LagPolicy::Skip,
            },
            client_throttle,
            throttle: self.throttle.clone(),
        };
        Ok(Topic::new(self.hub()?, limits))
    }

    fn hub(&self) -> Result<Hub<SseEvent>, InvalidHub> {
        let mut hub: HubBuilder<SseEvent> = Hub::builder(self.capacity)
            .max_bytes(self.max_bytes)
            .ttl(self.ttl)
            // Polls subscribe for a moment, beside the streams.
            .max_subscribers(usize::MAX);
        if let Some(keys) = self.coalesce {
            // An event without a key has one of its own.
            let unique = AtomicU64::new(0);
            hub = hub.key(keys, move |event| match event.get_key() {
                Some(key) => (Some(key.clone()), 0),
                None => (None, unique.fetch_add(1, Ordering::Relaxed)),
            });
        }
        if let Some(epoch) = self.epoch {
            hub = hub.epoch(epoch);
        }
        hub.build()
    }
}
