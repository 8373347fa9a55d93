//! Clients that cooperate with [Plimsoll](https://docs.rs/plimsoll) servers: retries with a budget,
//! hedging and throttling for any Tower client.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod answer;
mod backoff;
mod budget;
mod error;
mod hint;
mod replay;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest;
mod retry;
mod sync;

#[cfg(feature = "reqwest")]
pub use self::reqwest::ReqwestReplay;
pub use self::{
    answer::{AnswerBody, HttpPeek, PeekAnswer, ReadAnswer},
    backoff::{Backoff, Jitter},
    budget::{RetryBudget, Withdrawal},
    error::{InvalidBackoff, InvalidBudget, InvalidRetry, TimedOut},
    hint::RetryHint,
    replay::{HttpReplay, ReplayBody},
    request::{Idempotent, Replay, ReplayRequest},
    retry::{Retry, RetryBuilder, RetryFuture, RetryHandle, RetryLayer},
};
