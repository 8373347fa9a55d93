//! Clients that cooperate with [Plimsoll](https://docs.rs/plimsoll) servers: retries with a budget,
//! hedging and throttling for any Tower client.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::client`.
//!
//! | task | item |
//! |---|---|
//! | send failed calls again | [`RetryLayer`], with a [`RetryBudget`] and a [`Backoff`] |
//! | send late calls twice | [`HedgeLayer`] |
//! | put a client's layers in the recommended order | [`ClientStack`] |
//! | reconnect server-sent events and `WebSocket`s | [`Reconnect`] |
//! | read what an answer asks of retries | [`RetryHint`] |
//! | reject in the client what the callee would reject | [`AdaptiveThrottle`]: from the share that was accepted recently |
//! | propagate priority and deadline, and shed before sending | [`Downstream`] |
//! | read the wait and the quotas that a response states | [`RateLimitAdvice`] |
//!
//! ```
//! use std::time::Duration;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use plimsoll_client::{RetryLayer, ReplayBody};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! type Body = Full<bytes::Bytes>;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let mut statuses = vec![StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].into_iter().rev();
//! # let statuses = std::sync::Arc::new(std::sync::Mutex::new(statuses));
//! // Answers 503, then 200. In a program this is hyper's client, or tonic's `Channel`.
//! let callee = service_fn(move |_: Request<ReplayBody<Body>>| {
//! #     let status = statuses.lock().unwrap().next().unwrap();
//!     let mut answer = Response::new(Body::from("hello"));
//! #     *answer.status_mut() = status;
//!     async { Ok::<_, std::io::Error>(answer) }
//! });
//! let retry = RetryLayer::builder().total_timeout(Duration::from_secs(5)).build()?;
//! let client = retry.layer(callee);
//!
//! let answer = client.oneshot(Request::new(Body::default())).await?;
//! assert_eq!(answer.status(), StatusCode::OK);
//! assert_eq!(retry.handle().retries(), 1);
//! # Ok(()) }
//! ```
//!
//! The request type needs [`ReplayRequest`] and the answer [`ReadAnswer`]: requests and responses of
//! the `http` crate, and of `reqwest` with the feature of that name.
//!
//! # Features
//!
//! No feature is on by default. `reqwest` adds retries and hedges of `reqwest::Client`. `call-scope`
//! adds [`CallScopeLayer`], which gives calls the priority of the request that they are made for.
//!
//! [docs/clients.md](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/clients.md) is the guide.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod advice;
mod answer;
mod backoff;
mod budget;
mod downstream;
mod error;
mod hedge;
mod hint;
mod hints;
mod reconnect;
mod replay;
mod request;
#[cfg(feature = "reqwest")]
mod reqwest;
mod retry;
mod stack;
mod sync;
mod throttle;
mod timeout;

#[cfg(feature = "call-scope")]
pub use self::downstream::{CallScope, CallScopeLayer};
#[cfg(feature = "reqwest")]
pub use self::reqwest::ReqwestReplay;
pub use self::{
    advice::{QuotaLeft, QuotaPolicy, QuotaUnit, RateLimitAdvice},
    answer::{AnswerBody, HttpPeek, PeekAnswer, ReadAnswer},
    backoff::{Backoff, Jitter},
    budget::{RetryBudget, Withdrawal},
    downstream::{CallContext, Downstream, DownstreamHandle, DownstreamPermit},
    error::{
        InvalidAdaptiveThrottle, InvalidBackoff, InvalidBudget, InvalidDownstream, InvalidHedge,
        InvalidRetry, TimedOut,
    },
    hedge::{Hedge, HedgeBuilder, HedgeFuture, HedgeHandle, HedgeLayer},
    hint::RetryHint,
    reconnect::{Reconnect, Reconnecting},
    replay::{BareReplay, HttpReplay, ReplayBody},
    request::{Idempotent, Replay, ReplayRequest},
    retry::{Retry, RetryBuilder, RetryFuture, RetryHandle, RetryLayer},
    stack::{ClientStack, ClientStackLayer},
    throttle::{AdaptiveThrottle, AdaptiveThrottleHandle, ThrottlePermit},
    timeout::{CallTimeout, CallTimeoutFuture},
};
