//! Bounded queues for streams, of [Plimsoll](https://docs.rs/plimsoll).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod queue;
mod sync;

pub use self::queue::{
    BoundedQueue, BoundedQueueBuilder, CloseOnDrop, Counters, Deliveries, Delivery, DropReason,
    Evicted, Fate, Gap, InvalidQueue, ItemSink, Items, Permit, QueuePolicy, Recv, RecvDelivery,
    RecvMany, Reserve, ReserveError, SendError, SendItem, Sent, WaitTimes, Weight,
};
#[doc(no_inline)]
pub use plimsoll_core::{Criticality, LoadSignal, Priority};
