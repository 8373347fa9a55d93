//! Fallback of [Plimsoll](https://docs.rs/plimsoll): a second-best answer in the place of a refusal, a failure or an error,
//! and a mark that says so.
//!
//! [`Fallback`] is not a policy but a *protocol*: it says how a gate says no. Fused with a stack of policies it answers
//! for whichever of them refuses:
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::{BodyExt as _, Full};
//! use plimsoll_core::GateLayer;
//! use plimsoll_fallback::{DEGRADED, Fallback};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use plimsoll_core::test_kit::RefuseAll;
//! # let (rate, concurrency, breaker) = ((), (), RefuseAll);
//! let fallback = Fallback::answer(Response::new("a house ad"));
//! let handle = fallback.handle();
//! let layer = GateLayer::builder((rate, concurrency, breaker)).protocol(fallback).build();
//! # let service = layer.layer(service_fn(|_: Request<()>| async {
//! #     Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::default()))
//! # }));
//!
//! // While one of them refuses:
//! let answer = service.oneshot(Request::new(())).await?;
//! assert_eq!(answer.headers()[DEGRADED], r#"rejected;policy="refuse-all";kind=full"#);
//! assert_eq!(answer.into_body().collect().await?.to_bytes(), "a house ad");
//! assert_eq!(handle.rejected(), 1);
//! # Ok(()) }
//! ```
//!
//! Alone it is a [`FallbackLayer`]. Outside of other gates, and of anything that keeps the extensions of responses, it knows
//! their refusals from failures by the [`Rejection`](plimsoll_core::Rejection) they leave there.
//!
//! # What it steps in for
//!
//! | cause | by default | switch |
//! |---|---|---|
//! | refused: the server is full, a circuit is open, the deadline cannot be met | yes | [`on_rejection`](Fallback::on_rejection) |
//! | refused: the caller is over its own quota | no: it gets its 429, and the wait | [`on_kind`](Fallback::on_kind) |
//! | refused: left out by a sampler | no: its 202 is no failure | [`on_kind`](Fallback::on_kind) |
//! | answered with [`Class::Failure`](plimsoll_core::Class::Failure) | yes | [`on_failure`](Fallback::on_failure) |
//! | answered with [`Class::Overloaded`](plimsoll_core::Class::Overloaded) | no | [`on_overload`](Fallback::on_overload) |
//! | an error of the inner service | yes | [`on_error`](Fallback::on_error) |
//! | any of these, for a gRPC request | no | [`on_grpc`](Fallback::on_grpc) |
//!
//! The head of an answer decides: once it is on its way to the client, a body that breaks off cannot be
//! replaced. An error in readying the inner service (`poll_ready`) belongs to no request and passes.
//!
//! An answer that a fallback further in has substituted is left as it is, unless the substitute is a
//! failure or overloaded: then it is replaced when the switch of its class is on, or that of what it
//! stood for.
//!
//! The substitute is a fixed response ([`Fallback::answer`]) or comes from a handler ([`Fallback::handler`],
//! [`Fallback::handler_with`]). Neither requests nor responses need be `Clone`.
//!
//! # What the client sees
//!
//! The substitute, whatever its status, with the header [`DEGRADED`] that names the cause
//! (see [`Degraded::header_value`]), and what the policies have to say to an accepted caller. The extension [`Degraded`] tells the
//! same to layers further out. [`Fallback::mark`] switches both off. Caches do not know these marks, so a
//! substitute without a `cache-control` of its own gets `no-store`.
//!
//! # What the policies see
//!
//! The truth. A failed call's permit ends with its own class (to the breaker of the same gate it is a failure) *before* the
//! substitute is made, so a handler holds no permit: what it does, how long it takes, whether it panics or is dropped,
//! is nothing to the policies. Gates and metrics *outside* of the fallback see the substitute. A handler is not limited by
//! anything: keep it cheap, since it runs most when there is most trouble.
//!
//! # Cost
//!
//! A good answer to a GET costs a load and a few comparisons more than with [`Http`](plimsoll_core::Http) alone, a
//! POST also a look at its content type; `handler_with` adds its capture.
//!
//! # When not to use it
//!
//! Where a wrong answer is worse than none (payments, writes), and where clients should back off: a fallback with
//! status 200 takes the retry hints off the wire.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod cause;
mod fallback;
mod handle;
mod hints;
mod later;
mod layer;
mod mark;
mod protocol;
mod substitute;
mod switches;

pub use self::{
    cause::{Cause, Degraded, Failed},
    fallback::Fallback,
    handle::FallbackHandle,
    later::Later,
    layer::FallbackLayer,
    mark::DEGRADED,
    protocol::FallbackCall,
    substitute::{Fixed, Handler, HandlerWith, Made, Substitute},
};
