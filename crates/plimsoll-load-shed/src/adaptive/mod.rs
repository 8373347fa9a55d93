//! Adaptive load shedding: a budget from the measured throughput, a threshold from the arrivals.

mod arrivals;
mod budget;
mod cut;
mod figures;
mod handle;
mod policy;
mod rate;
mod shared;
mod window;

pub use self::{handle::AdaptiveShedHandle, policy::AdaptiveShed};
