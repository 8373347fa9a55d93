//! The state machine: plain data; events and times are passed in. No clock, no atomics, no locks.
//!
//! ```text
//!            a rate was reached                      first request after the opening
//!   Closed ───────────────────────► Open ────────────────────────────────────────────► HalfOpen
//!      ▲                             ▲ ▲                                                  │  │
//!      │                             │ └──────────── a probe failed ──────────────────────┘  │
//!      │ the ramp has passed         │ a rate was reached                                    │
//!      └────────────────────── Recovering ◄───────────── enough probes succeeded ────────────┘
//! ```
//!
//! Every arrow starts a new generation. Times are nanoseconds since one epoch.

mod machine;
mod opening;
mod probes;
mod ramp;
mod stamp;

pub use self::stamp::State;
pub(crate) use self::{
    machine::{Decision, Ended, Machine, wait},
    stamp::Stamp,
};
