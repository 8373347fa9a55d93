//! Clients that cooperate with [Plimsoll](https://docs.rs/plimsoll) servers: retries with a budget,
//! hedging and throttling for any Tower client.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod backoff;
mod budget;
mod error;
mod sync;

pub use self::{
    backoff::{Backoff, Jitter},
    budget::{RetryBudget, Withdrawal},
    error::{InvalidBackoff, InvalidBudget},
};
