//! One publisher, many subscribers.
//!
//! | file | what |
//! |---|---|
//! | `publisher`, `builder`, `error` | the hub as publishers see it |
//! | `subscription`, `subscribe`, `recv`, `lag` | a subscriber, its bounds, and what it receives |
//! | `cursor` | where a subscriber is, as text for a client |
//! | `shared` | the lock, the caller's functions outside of it, and what is read without it |
//! | `log`, `segment` | the items that are kept |
//! | `latest` | the latest item of each key, for subscribers that coalesce |
//! | `parked` | subscribers that wait, in lists with a lock each |
//! | `counters` | figures |

mod builder;
mod counters;
mod cursor;
mod error;
mod lag;
mod latest;
mod log;
#[cfg(all(test, loom))]
mod loom_tests;
mod parked;
mod publisher;
mod recv;
mod segment;
mod shared;
mod subscribe;
mod subscription;

pub(crate) use self::shared::Shared;
pub use self::{
    builder::HubBuilder,
    counters::HubCounters,
    cursor::{Cursor, InvalidCursor},
    error::{Ended, InvalidHub, PublishError, SubscribeError},
    lag::LagPolicy,
    publisher::{Hub, Published},
    recv::RecvNext,
    subscribe::Subscriber,
    subscription::{Reset, ResetReason, Resumed, Subscription},
};
