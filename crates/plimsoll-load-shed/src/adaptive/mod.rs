//! Sheds as much as is too much: a budget from what the service gets done, a line from what arrived.

mod arrivals;
mod budget;
mod cut;
mod handle;
mod policy;
mod rate;
mod shared;
mod window;

pub use self::{handle::AdaptiveShedHandle, policy::AdaptiveShed};
