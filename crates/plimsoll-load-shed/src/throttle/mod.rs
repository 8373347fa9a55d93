//! Admits by how much of late was accepted.

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
