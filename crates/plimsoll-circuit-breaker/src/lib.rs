//! Circuit breaker of [Plimsoll](https://docs.rs/plimsoll): stops calling a service that fails, and
//! probes for its recovery.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::circuit_breaker`.
//!
//! Without a breaker, callers of a failing dependency wait for its timeouts, and their retries keep
//! it overloaded. A [`CircuitBreaker`] rejects at once instead, with the time of the next probe.
//!
//! ```
//! use std::time::Duration;
//! use plimsoll_circuit_breaker::{CircuitBreaker, State};
//! use tower::{Layer, ServiceExt, service_fn};
//! # use http::{Request, Response};
//! # use http_body_util::Full;
//! # async fn call(req: Request<u16>) -> Result<Response<Full<bytes::Bytes>>, http::Error> {
//! #     Response::builder().status(*req.body()).body(Full::default())
//! # }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!
//! let breaker = CircuitBreaker::builder()
//!     .window(200)                                  // the last 200 calls,
//!     .min_calls(20)                                // once there are 20 of them:
//!     .failure_rate(0.5)                            // opens when half of them failed,
//!     .slow_call(Duration::from_millis(300))        // or took this long;
//!     .open_for(Duration::from_secs(1))             // rejects for a second,
//!     .backoff(2.0, Duration::from_secs(30))        // then two, four, ... while probes fail
//!     .build()?;
//! let handle = breaker.handle();
//! let client = breaker.into_layer().layer(service_fn(call));
//!
//! for n in 0..20 {
//!     assert_eq!((handle.failure_rate(), handle.state()), (None, State::Closed), "too few calls");
//!     let status = if n < 10 { 200 } else { 500 };
//!     client.clone().oneshot(Request::new(status)).await?;
//! }
//! assert_eq!((handle.failure_rate(), handle.state()), (Some(0.5), State::Open));
//! # for opening in [1, 2, 4, 8, 16, 30, 30] {
//! #     let wait = handle.retry_after(tokio::time::Instant::now()).ok_or("forced")?;
//! #     let opening = Duration::from_secs(opening);
//! #     assert!(opening <= wait && wait <= opening * 6 / 5, "{wait:?}");
//! #     let answer = client.clone().oneshot(Request::new(200)).await?;
//! #     assert_eq!(answer.status(), 503);
//! #     tokio::time::advance(wait).await;
//! #     client.clone().oneshot(Request::new(500)).await?;
//! #     assert_eq!(handle.state(), State::Open);
//! # }
//! # Ok(()) }
//! ```
//!
//! A tuple of policies in one [`GateLayer`](plimsoll_core::GateLayer) is faster than a layer for
//! each: `GateLayer::new((breaker, limit))`.
//!
//! # How it decides
//!
//! **Closed admits.** The outcomes of the last N calls are kept in a ring (one bit each). When
//! `failures / calls` reaches the rate, with at least `min_calls` outcomes, the breaker opens. The
//! window slides: outcome N+1 replaces the first, so a long healthy period does not dilute an
//! outage. The window has no clock: in a service with few calls old failures stay until new
//! outcomes replace them.
//!
//! **Open rejects**, as [`Kind::CircuitOpen`](plimsoll_core::Kind::CircuitOpen), with the exact
//! time until the first probe. No timer runs: the first request after that time makes it half-open,
//! and is its first probe. It stays open for `open_for` to 1.2 times that
//! ([`jitter`](CircuitBreakerBuilder::jitter)), so that the instances of a fleet do not probe together.
//!
//! **Half-open probes.** At most `probes` requests at a time are admitted, the others are rejected.
//! One failed probe opens the breaker again; `successes` successful ones close it. A probe without
//! an answer (cancelled early, rejected by another gate or policy) releases its place and decides
//! nothing; the next request takes the place. A probe that hangs loses its place after
//! `probe_timeout`, as in Polly, so hanging probes never block the breaker. The number of probes in
//! a period has no other bound: a probe that ends releases its place at once. The retry hint of
//! rejections is the duration of the latest call that counted: an estimate between 100 ms and
//! `open_for`.
//!
//! Every state transition starts a new **generation**. A permit carries the generation of its
//! admission, and a result that arrives in another generation is not counted: late failures of the
//! outage do not open the breaker again, and late successes do not close it.
//! [`CircuitBreakerHandle::late`] counts them.
//!
//! [`CircuitBreakerHandle::on_transition`] reports transitions, with their reason and time, for logs
//! and metrics.
//!
//! # What counts
//!
//! | class of the outcome | counts as |
//! |---|---|
//! | `Success`, `Ignored` | a success (a 404 shows that the service works); a failure if it took [`slow_call`](CircuitBreakerBuilder::slow_call) or longer |
//! | `Failure` | a failure |
//! | `Overloaded` | a failure. With `count_overloaded(false)`: nothing while closed, a success of a probe |
//! | `Cancelled` | without an answer: nothing; a failure after [`cancelled_call`](CircuitBreakerBuilder::cancelled_call) or longer. After a head: a success |
//! | `Rejected` | nothing: an inner gate rejected it, and the service was not called |
//!
//! A call is slow by the time to the head of its response. Rejections by the breaker itself are not
//! counted.
//!
//! Results enter the window when calls end. When failures end sooner than successes, the first
//! results of a burst are its failures: set `min_calls`, and with it `window`, to at least the
//! number of calls that are in flight together.
//!
//! # Timeouts
//!
//! | the timeout is | the breaker's view |
//! |---|---|
//! | inside of the breaker | a failure, whatever its length: an error, or a 408 with [`Http::client`](plimsoll_core::Http::client) |
//! | outside of the breaker | a call that is cancelled: a failure after `cancelled_call` (1 s by default) or longer |
//!
//! Put the timeout inside if possible. A timeout outside that is shorter than `cancelled_call` is
//! not counted: the breaker stays closed and [`CircuitBreakerHandle::cancelled`] grows. Set
//! `cancelled_call` to the length of the timeout, or `slow_call`, which also counts slow answers.
//! `cancelled_call(None)` is for calls that are often cancelled in normal operation: long polls,
//! the slower of two hedged calls.
//!
//! ```
//! use std::time::Duration;
//! use plimsoll_circuit_breaker::{CircuitBreaker, State};
//! use tower::{ServiceBuilder, ServiceExt};
//! # use bytes::Bytes;
//! # use http::{Request, Response};
//! # use http_body_util::Full;
//! # use std::{convert::Infallible, future::pending};
//! # async fn hangs(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> { pending().await }
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!
//! let limit = Duration::from_millis(300);
//! let breaker = CircuitBreaker::builder().cancelled_call(limit).build()?;
//! let handle = breaker.handle();
//! let client = ServiceBuilder::new()
//!     .timeout(limit)
//!     .layer(breaker.into_layer())
//!     .service_fn(hangs);
//!
//! for _ in 0..20 {
//!     assert!(client.clone().oneshot(Request::new(())).await.is_err(), "timed out");
//! }
//! assert_eq!(handle.state(), State::Open);
//!
//! // Inside of the breaker the timeout needs no setting.
//! let breaker = CircuitBreaker::new();
//! let handle = breaker.handle();
//! let client = ServiceBuilder::new()
//!     .layer(breaker.into_layer())
//!     .timeout(limit)
//!     .service_fn(hangs);
//! for _ in 0..20 {
//!     assert!(client.clone().oneshot(Request::new(())).await.is_err(), "timed out");
//! }
//! assert_eq!(handle.state(), State::Open);
//! # Ok(()) }
//! ```
//!
//! # Position
//!
//! In front of a dependency: around a client, with [`Http::client`](plimsoll_core::Http::client)
//! for HTTP clients and [`Plain`](plimsoll_core::Plain) for any other service, with one breaker per
//! callee through [`CircuitBreaker::per_key`]. A retry layer
//! belongs outside of the breaker: then each attempt is counted, and an open breaker stops the
//! retries. In a tuple of policies the breaker goes last, so that it decides only on requests that
//! would run.
//!
//! # Cost
//!
//! While closed, a request costs one atomic load, and its end a few loads (and a `fetch_add` while
//! the window holds a failure), without a lock and independent of the size of the window. Races may
//! put one or two outcomes in a wrong slot. While open, a rejection is two loads and a counter.
//! Only state transitions and the probes of a half-open breaker take a lock, for a few comparisons.
//!
//! # Cancellation
//!
//! Dropping a call ends its permit (see [`Gate`](plimsoll_core::Gate)). A probe releases its place
//! at once.
//!
//! An answer whose body is dropped unread counts by its head, since the service has answered. So
//! does a gRPC stream that the caller drops before its status.
//!
//! # When not to use it
//!
//! - When a failure says nothing about the next call: errors caused by callers (classify those as
//!   `Ignored`), or a service of many independent parts behind one breaker (use one per part).
//! - Against load alone: a concurrency limit admits a part of the load, a breaker all or nothing.
//!
//! After M. Nygard, *Release It!* (2007); window and terms after resilience4j, probes after Polly.
//!
//! # Recipes
//!
//! Programs to copy: [a breaker around
//! reqwest](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/breaker_reqwest.rs),
//! [a breaker per host around
//! hyper-util](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/breaker_hyper.rs),
//! [a tonic
//! client](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/tonic_client.rs).
//! [All recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod breaker;
mod builder;
mod common;
mod error;
mod handle;
mod hints;
mod layer;
mod permit;
mod reports;
mod settings;
mod shared;
mod state;
mod sync;
mod transition;
mod window;

pub use self::{
    breaker::CircuitBreaker,
    builder::CircuitBreakerBuilder,
    error::InvalidCircuitBreaker,
    handle::CircuitBreakerHandle,
    layer::CircuitBreakerLayer,
    permit::CircuitBreakerPermit,
    state::State,
    transition::{Transition, TransitionReason},
};
