//! The builder of a queue.

use std::{fmt, hash::Hash};

use plimsoll_core::{Priority, policy::Waiters};

use super::{
    bounded::BoundedQueue,
    counters::Counters,
    error::InvalidQueue,
    functions::Functions,
    keys::Keys,
    levels::Levels,
    policy::QueuePolicy,
    reason::DropReason,
    ring::Ring,
    shared::Shared,
    state::{Limits, Reserved, Short, State},
    waits::Waits,
    weight::Weight,
};
use crate::{clock::Clock, key_hash::Secrets};

/// The settings of a [`BoundedQueue`], checked together by [`build`](Self::build).
///
/// | setting | default |
/// |---|---|
/// | [`policy`](Self::policy) | [`QueuePolicy::BLOCK`] |
/// | [`max_bytes`](Self::max_bytes) | no bound in bytes |
/// | [`priority`](Self::priority) | none: [`QueuePolicy::DropLowestPriority`] is not available |
/// | [`key`](Self::key) | none: [`QueuePolicy::Coalesce`] is not available |
/// | [`on_drop`](Self::on_drop) | none |
/// | [`measure_waits`](Self::measure_waits) | off |
#[must_use = "a builder does nothing until `build`"]
pub struct BoundedQueueBuilder<T> {
    capacity: usize,
    max_bytes: Option<usize>,
    policy: QueuePolicy,
    measure_waits: Option<u32>,
    functions: Functions<T>,
}

impl<T> BoundedQueueBuilder<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            max_bytes: None,
            policy: QueuePolicy::BLOCK,
            measure_waits: None,
            functions: Functions {
                describe: false,
                weight: None,
                priority: None,
                key: None,
                on_drop: None,
            },
        }
    }

    /// Sets what happens when the queue is full. It can be changed later.
    pub fn policy(mut self, policy: QueuePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Bounds the sum of the weights of the queued items, in bytes: at least 1.
    ///
    /// The bound in items stays in force. A single item above the bound is rejected with
    /// [`SendError::TooLarge`](crate::SendError::TooLarge).
    pub fn max_bytes(self, max: usize) -> Self
    where
        T: Weight + 'static,
    {
        self.max_bytes_by(max, Weight::weight)
    }

    /// Bounds the sum of the weights as [`max_bytes`](Self::max_bytes) does, with a closure that
    /// returns the weight of an item in bytes.
    ///
    /// When each item weighs its own size: `max_bytes_by(max, size_of_val)`.
    pub fn max_bytes_by(
        mut self,
        max: usize,
        weight: impl Fn(&T) -> usize + Send + Sync + 'static,
    ) -> Self {
        self.max_bytes = Some(max);
        self.functions.weight = Some(Box::new(weight));
        self
    }

    /// Sets how the priority of an item is read, for [`QueuePolicy::DropLowestPriority`].
    ///
    /// An item without a cohort has the lowest level of its criticality.
    pub fn priority(mut self, priority: impl Fn(&T) -> Priority + Send + Sync + 'static) -> Self {
        self.functions.priority = Some(Box::new(priority));
        self
    }

    /// Sets the key of an item, for [`QueuePolicy::Coalesce`].
    ///
    /// Keys are compared by a hash of 128 bits with a random secret.
    pub fn key<K: Hash>(mut self, key: impl Fn(&T) -> K + Send + Sync + 'static) -> Self {
        let secrets = Secrets::default();
        self.functions.key = Some(Box::new(move |item| secrets.hash(&key(item))));
        self
    }

    /// Sets a hook for each item that is dropped, evicted, replaced or expired.
    ///
    /// It runs after the operation that lost the item, in the same task and outside of the lock. A
    /// panic in it is caught. The hook gets a reference: a send hands the items themselves back.
    pub fn on_drop(mut self, hook: impl Fn(&T, DropReason) + Send + Sync + 'static) -> Self {
        self.functions.on_drop = Some(Box::new(hook));
        self
    }

    /// Measures how long items wait, one item of `every`: at least 1, which measures each.
    ///
    /// Each measured item costs two clock reads, about 50 ns; with 16 or more the average cost per
    /// item is below 4 ns. Results are in [`BoundedQueue::wait_times`] and, exact with 1,
    /// [`BoundedQueue::oldest_age`].
    pub fn measure_waits(mut self, every: u32) -> Self {
        self.measure_waits = Some(every);
        self
    }

    /// Builds the queue, empty and open. Memory grows with the items, up to the capacity,
    /// and under [`QueuePolicy::Block`] to twice that.
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound.
    pub fn build(self) -> Result<BoundedQueue<T>, InvalidQueue> {
        if self.capacity == 0 {
            return Err(InvalidQueue::Capacity);
        }
        if self.max_bytes == Some(0) {
            return Err(InvalidQueue::MaxBytes);
        }
        if self.measure_waits == Some(0) {
            return Err(InvalidQueue::MeasureWaits);
        }
        self.functions.check(self.policy)?;
        let mut functions = self.functions;
        functions.describe =
            functions.weight.is_some() || functions.priority.is_some() || functions.key.is_some();
        let limits = Limits {
            items: self.capacity,
            bytes: self.max_bytes.unwrap_or(usize::MAX),
        };
        let levels = functions.priority.is_some().then(Levels::default);
        let keys = functions.key.is_some().then(Keys::default);
        let has_tags =
            functions.weight.is_some() || matches!(self.policy, QueuePolicy::DropExpired { .. });
        let mut state = State {
            short: Short::default(),
            ring: Ring::new(levels, keys, has_tags),
            limits,
            policy: self.policy,
            rng: self.policy.rng(),
            clock: Clock::new(),
            counters: Counters::default(),
            waits: self.measure_waits.map(Waits::new),
            batched: 0,
            may_batch: false,
            closed: false,
            senders: Waiters::new(),
            receivers: Waiters::new(),
            granted_senders: 0,
            granted_receivers: 0,
            reserved: Reserved::default(),
        };
        state.allow_short();
        Ok(BoundedQueue::with(Shared::new(state, functions)))
    }
}

impl<T> BoundedQueue<T> {
    /// A queue for `capacity` items, without a bound in bytes.
    ///
    /// # Errors
    ///
    /// As for [`BoundedQueueBuilder::build`].
    pub fn new(capacity: usize, policy: QueuePolicy) -> Result<Self, InvalidQueue> {
        Self::builder(capacity).policy(policy).build()
    }

    /// A builder for a queue for `capacity` items: at least 1.
    pub fn builder(capacity: usize) -> BoundedQueueBuilder<T> {
        BoundedQueueBuilder::new(capacity)
    }
}

impl<T> fmt::Debug for BoundedQueueBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedQueueBuilder")
            .field("capacity", &self.capacity)
            .field("max_bytes", &self.max_bytes)
            .field("policy", &self.policy)
            .field("measure_waits", &self.measure_waits)
            .finish_non_exhaustive()
    }
}
