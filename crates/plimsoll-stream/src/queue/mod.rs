//! A bounded queue.
//!
//! | file | what |
//! |---|---|
//! | `bounded`, `builder`, `guard` | the queue as its users see it |
//! | `policy`, `reason`, `outcome`, `error`, `weight` | the types of its API |
//! | `sender`, `permit`, `receiver`, `stream`, `sink` | futures that wait, and faces |
//! | `shared` | the lock, and the caller's functions outside of it |
//! | `state`, `admit`, `take` | decisions under the lock |
//! | `ring`, `ring_side`, `ring_search`, `slot`, `levels`, `keys` | the items, in order, by priority and by key |
//! | `counters`, `waits` | figures |

mod admit;
mod bounded;
mod builder;
mod counters;
mod error;
mod guard;
mod keys;
mod levels;
#[cfg(all(test, loom))]
mod loom_tests;
mod outcome;
mod permit;
mod policy;
mod reason;
mod receiver;
mod ring;
mod ring_search;
mod ring_side;
mod sender;
mod shared;
mod sink;
mod slot;
mod state;
mod stream;
mod take;
mod waits;
mod weight;

pub use self::{
    bounded::BoundedQueue,
    builder::BoundedQueueBuilder,
    counters::Counters,
    error::InvalidQueue,
    guard::CloseOnDrop,
    outcome::{Fate, Lost, ReserveError, SendError, Sent},
    permit::{Permit, Reserve},
    policy::QueuePolicy,
    reason::{Delivery, DropReason, Gap},
    receiver::{Recv, RecvDelivery, RecvMany},
    sender::SendItem,
    sink::ItemSink,
    stream::{Deliveries, Items},
    waits::WaitTimes,
    weight::Weight,
};
