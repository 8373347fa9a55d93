//! Clients that cooperate with [Plimsoll](https://docs.rs/plimsoll) servers: retries with a budget,
//! hedging and throttling for any Tower client.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod answer;
mod backoff;
mod budget;
mod error;
mod hedge;
mod hint;
mod reconnect;
mod replay;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest;
mod retry;
mod stack;
mod sync;
mod timeout;

#[cfg(feature = "reqwest")]
pub use self::reqwest::ReqwestReplay;
pub use self::{
    answer::{AnswerBody, HttpPeek, PeekAnswer, ReadAnswer},
    backoff::{Backoff, Jitter},
    budget::{RetryBudget, Withdrawal},
    error::{InvalidBackoff, InvalidBudget, InvalidHedge, InvalidRetry, TimedOut},
    hedge::{Hedge, HedgeBuilder, HedgeFuture, HedgeHandle, HedgeLayer},
    hint::RetryHint,
    reconnect::{Reconnect, Reconnecting},
    replay::{HttpReplay, ReplayBody},
    request::{Idempotent, Replay, ReplayRequest},
    retry::{Retry, RetryBuilder, RetryFuture, RetryHandle, RetryLayer},
    stack::{ClientStack, ClientStackLayer},
    timeout::{CallTimeout, CallTimeoutFuture},
};
