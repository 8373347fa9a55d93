//! Demand of a consumer, after the rules of Reactive Streams.
//!
//! | file | what |
//! |---|---|
//! | `signal` | `Demand`: request and cancel |
//! | `acquire` | futures of producers that wait |
//! | `gated` | a stream that yields only with credit |
//! | `subscription`, `for_each`, `batches` | a stream as a publisher, and its consumers |
//! | `shared` | the credit, and the tasks that wait |
//! | `error` | requests out of bounds, and the end of a demand |

mod acquire;
mod batches;
mod error;
mod for_each;
mod gated;
#[cfg(all(test, loom))]
mod loom_tests;
mod shared;
mod signal;
mod subscription;

pub use self::{
    acquire::{AcquireCredit, WaitCancelled},
    batches::{Batch, Batches},
    error::{DemandCancelled, InvalidRequest},
    for_each::ForEach,
    gated::{Ended, Gated},
    signal::Demand,
    subscription::{Publisher, Subscription},
};
