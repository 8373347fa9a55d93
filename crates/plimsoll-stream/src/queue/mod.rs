//! A bounded queue.
//!
//! | file | what |
//! |---|---|
//! | `bounded`, `figures`, `builder`, `guard` | the queue as its users see it |
//! | `policy`, `reason`, `outcome`, `error`, `weight` | the types of its API |
//! | `sender`, `permit`, `receiver`, `stream`, `sink` | futures that wait, and faces |
//! | `turn`, `place` | how senders and receivers wait |
//! | `shared`, `lock`, `functions` | the lock, and the caller's functions outside of it |
//! | `short` | sends and receives that need no decision: most, while the queue is not full |
//! | `batch`, `from_batch` | what receivers have taken out of the ring together |
//! | `state`, `plan`, `admit`, `take` | decisions under the lock |
//! | `ring`, `ring_side`, `ring_lost`, `ring_search` | the items in order, and what is beside and between them |
//! | `slot`, `levels`, `keys` | parts of the ring: tags and lost numbers, indexes |
//! | `counters`, `waits` | figures |

mod admit;
mod batch;
mod bounded;
mod builder;
mod counters;
mod error;
mod figures;
mod from_batch;
mod functions;
mod guard;
mod keys;
mod levels;
#[cfg(not(loom))]
mod lock;
#[cfg(loom)]
#[path = "lock_of_loom.rs"]
mod lock;
mod locked;
#[cfg(all(test, loom))]
mod loom_batch_tests;
#[cfg(all(test, loom))]
mod loom_short_tests;
#[cfg(all(test, loom))]
mod loom_tests;
mod outcome;
mod permit;
mod place;
mod plan;
mod policy;
mod reason;
mod receiver;
mod ring;
mod ring_lost;
mod ring_search;
mod ring_side;
mod sender;
mod shared;
mod short;
mod sink;
mod slot;
mod state;
mod stream;
mod take;
mod turn;
mod waits;
mod weight;

pub use self::{
    bounded::BoundedQueue,
    builder::BoundedQueueBuilder,
    counters::Counters,
    error::{InvalidQueue, ReserveError, SendError},
    guard::CloseOnDrop,
    outcome::{Fate, Lost, Sent},
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
