//! Rejects by the share of requests that was accepted recently.

mod figures;
mod formula;
mod handle;
mod patience;
mod policy;
mod shared;
mod window;

pub use self::{
    handle::AdaptiveThrottleHandle,
    policy::{AdaptiveThrottle, ThrottlePermit},
};
