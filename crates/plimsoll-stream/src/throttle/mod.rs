//! Token buckets for streams.
//!
//! | file | what |
//! |---|---|
//! | `limits`, `builder`, `error` | the buckets, shared by clones |
//! | `throttled` | a stream behind the buckets |
//! | `passage` | the way of one item through the buckets |
//! | `bucket`, `line` | a rate limit, and the turns of those that wait for it |

mod bucket;
mod builder;
mod error;
mod limits;
mod line;
mod passage;
mod throttled;

pub use self::{
    builder::ThrottleBuilder, error::InvalidThrottle, limits::Throttle, throttled::Throttled,
};
