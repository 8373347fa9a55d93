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
//!     .window_time(Duration::from_secs(10))         // the calls of the last ten seconds,
//!     .min_calls(20)                                // once there are 20 of them:
//!     .failure_rate(0.5)                            // opens when half of them failed,
//!     .slow_call(Duration::from_millis(300))        // or took this long, or hang;
//!     .open_for(Duration::from_secs(1))             // rejects for a second or so,
//!     .backoff(2.0, Duration::from_secs(30))        // then two, four, ... while probes fail,
//!     .ramp(Duration::from_secs(5))                 // and recovers step by step
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
//! #     assert!(opening <= wait && wait <= opening * 3 / 2, "{wait:?}");
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
//! **Closed admits.** The outcomes of the latest calls are in a window of one of three kinds:
//!
//! | window | holds | use it when |
//! |---|---|---|
//! | [`window`](CircuitBreakerBuilder::window) | the last N calls, one bit each | calls are rare, or their rate varies much |
//! | [`window_time`](CircuitBreakerBuilder::window_time) | the calls of the last T, in sixteen slices | there are many calls per second |
//! | [`consecutive_failures`](CircuitBreakerBuilder::consecutive_failures) | failures since the latest success | a single success proves that the callee works |
//!
//! With at least `min_calls` outcomes, the breaker opens when the share of failures reaches
//! [`failure_rate`](CircuitBreakerBuilder::failure_rate), or that of slow calls
//! [`slow_rate`](CircuitBreakerBuilder::slow_rate). All windows slide: a long healthy period does
//! not dilute an outage. Outcomes age: those older than
//! [`max_age`](CircuitBreakerBuilder::max_age) do not count.
//!
//! **Calls that hang** are found before they end: with
//! [`slow_call`](CircuitBreakerBuilder::slow_call), calls in flight without a head count as slow
//! from that time on. No timer runs: the next request finds them.
//!
//! **Open rejects**, as [`Kind::CircuitOpen`](plimsoll_core::Kind::CircuitOpen), with the exact
//! time until the first probe. No timer runs: the first request after that time makes it half-open,
//! and is its first probe. It stays open for `open_for` to 1.5 times that
//! ([`jitter`](CircuitBreakerBuilder::jitter)), so that the instances of a fleet do not probe
//! together. Openings in a row grow ([`backoff`](CircuitBreakerBuilder::backoff)), and the growth
//! decays with the time that the breaker is closed: a few good probes reset nothing.
//!
//! **Half-open probes.** At most `probes` requests at a time are admitted, the others are rejected.
//! One failed probe opens the breaker again; after `successes` successful ones it recovers. A probe
//! without an answer (cancelled early, rejected by another gate or policy) releases its place and
//! decides nothing; the next request takes the place. A probe without a result opens the breaker
//! again after `slow_call`; without that setting it loses its place after `probe_timeout`, as in
//! Polly, so hanging probes never block the breaker. The number of probes in a period has no other
//! bound: a probe that ends releases its place at once. The retry hint of rejections is the duration
//! of the latest call that counted: an estimate between 100 ms and `open_for`.
//!
//! **Recovering ramps up.** The number of calls that may run at a time starts at `probes` and
//! doubles after each eighth of [`ramp`](CircuitBreakerBuilder::ramp); after the whole of it the
//! breaker is closed. A callee with cold caches is not hit by the full load at once. A rate that is
//! reached meanwhile opens the breaker.
//!
//! Every state transition starts a new **generation**. A permit carries the generation of its
//! admission, and a result that arrives in another generation is not counted: late failures of the
//! outage do not open the breaker again, and late successes do not close it.
//! [`CircuitBreakerHandle::late`] counts them.
//!
//! Transitions are reported, with their reason and time, to
//! [callbacks](CircuitBreakerHandle::on_transition), to
//! [streams](CircuitBreakerHandle::transitions), and with the feature `tracing` as events of the
//! target `plimsoll::circuit_breaker` (level `WARN` when the breaker opens, `INFO` for the others).
//! No lock is held meanwhile.
//!
//! # By hand
//!
//! | [`CircuitBreakerHandle`] | effect |
//! |---|---|
//! | [`force_open`](CircuitBreakerHandle::force_open) | rejects all until it is changed |
//! | [`force_closed`](CircuitBreakerHandle::force_closed) | admits all and counts |
//! | [`disable`](CircuitBreakerHandle::disable) | admits all and counts nothing |
//! | [`trip`](CircuitBreakerHandle::trip) | opens for a time, then probes: for a health check or a flag |
//! | [`automatic`](CircuitBreakerHandle::automatic) | ends the first three |
//! | [`set_observe_only`](CircuitBreakerHandle::set_observe_only) | counts and changes its state, and admits all |
//!
//! # What counts
//!
//! | class of the outcome | counts as |
//! |---|---|
//! | `Success`, `Ignored` | a success: a 404 shows that the service works |
//! | `Failure` | a failure |
//! | `Overloaded` | a failure. With `count_overloaded(false)`: nothing while closed, a success of a probe |
//! | `Cancelled` | without an answer: nothing; a failure after [`cancelled_call`](CircuitBreakerBuilder::cancelled_call) or longer. After a head: a success |
//! | `Rejected` | nothing: an inner gate rejected it, and the service was not called |
//!
//! Any of them is also slow when the time to the head of its response reached
//! [`slow_call`](CircuitBreakerBuilder::slow_call), and a slow probe has failed. Rejections by the
//! breaker itself are not counted.
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
//! While closed, a request costs a few atomic loads, and its end a few more (with a window by time
//! one `fetch_add`; so too while a window of calls holds a failure). There is no lock, and the cost
//! is independent of the size of the window. `slow_call` adds a clock read and two counts per call.
//! Races may put one or two outcomes in a wrong slot. While open, a rejection is a few loads and a
//! counter. State transitions, the first request of a slice of time, the probes of a half-open
//! breaker and the calls of a ramp take a lock, for a few comparisons; so do calls that were slow.
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
//! After M. Nygard, *Release It!* (2007); windows and terms after resilience4j, probes after Polly.
//!
//! # Guide
//!
//! [Stop calls to a dependency that fails, hangs or is
//! slow](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/circuit-breaking.md): which settings
//! to choose, and other breakers in comparison.
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
mod circuits;
mod common;
mod error;
mod figures;
mod handle;
mod hints;
mod in_flight;
mod layer;
mod nanos;
mod permit;
mod reports;
mod settings;
mod shared;
mod state;
mod sync;
#[cfg(feature = "tracing")]
mod trace;
mod transition;
mod watch;
mod window;

pub use self::{
    breaker::CircuitBreaker,
    builder::CircuitBreakerBuilder,
    circuits::OpenKey,
    error::InvalidCircuitBreaker,
    handle::CircuitBreakerHandle,
    layer::CircuitBreakerLayer,
    permit::CircuitBreakerPermit,
    state::State,
    transition::{Transition, TransitionReason},
    watch::Transitions,
    window::Window,
};

/// The name of the policy in its rejections.
const NAME: &str = "circuit-breaker";
