//! Fallback of [Plimsoll](https://docs.rs/plimsoll): answers with a substitute instead of a
//! rejection, a failure or an error, and marks it.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::fallback`.
//!
//! [`Fallback`] is not a policy but a *protocol*: it makes a gate's answers. Fused with a stack of
//! policies it substitutes the rejections of each of them:
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
//! # use plimsoll_core::test_kit::RejectAll;
//! # let (rate, concurrency, breaker) = ((), (), RejectAll);
//! let fallback = Fallback::answer(Response::new("a house ad"));
//! let handle = fallback.handle();
//! let layer = GateLayer::builder((rate, concurrency, breaker)).protocol(fallback).build();
//! # let service = layer.layer(service_fn(|_: Request<()>| async {
//! #     Ok::<_, std::convert::Infallible>(Response::new(Full::<bytes::Bytes>::default()))
//! # }));
//!
//! // While one of them rejects:
//! let answer = service.oneshot(Request::new(())).await?;
//! assert_eq!(answer.headers()[DEGRADED], r#"rejected;policy="reject-all";kind=full"#);
//! assert_eq!(answer.into_body().collect().await?.to_bytes(), "a house ad");
//! assert_eq!(handle.rejected(), 1);
//! # Ok(()) }
//! ```
//!
//! Alone it is a [`FallbackLayer`]. Around other gates it identifies their rejections by the
//! [`Rejection`](plimsoll_core::Rejection) in the response's extensions, so layers in between must
//! keep the extensions.
//!
//! # What it substitutes
//!
//! | cause | by default | switch |
//! |---|---|---|
//! | rejected: server full, circuit open, deadline cannot be met | yes | [`on_rejection`](Fallback::on_rejection) |
//! | rejected: the caller is over its own quota | no: it gets the 429 and the wait | [`on_kind`](Fallback::on_kind) |
//! | rejected: left out by a sampler | no: a 202 is not a failure | [`on_kind`](Fallback::on_kind) |
//! | answered with [`Class::Failure`](plimsoll_core::Class::Failure) | yes | [`on_failure`](Fallback::on_failure) |
//! | answered with [`Class::Overloaded`](plimsoll_core::Class::Overloaded) | no | [`on_overload`](Fallback::on_overload) |
//! | an error of the inner service | yes | [`on_error`](Fallback::on_error) |
//! | any of these, for a gRPC request | no | [`on_grpc`](Fallback::on_grpc) |
//!
//! The head of an answer decides: once it is sent, a body that breaks off cannot be replaced. An
//! error of the inner service's `poll_ready` belongs to no request and is returned unchanged.
//!
//! An inner fallback's substitute is left unchanged, unless it is itself a failure or overloaded:
//! then it is replaced when the switch of its class is on, or the switch of its original cause.
//!
//! The substitute is a fixed response ([`Fallback::answer`]) or comes from a handler
//! ([`Fallback::handler`], [`Fallback::handler_with`]). Requests and responses do not have to be
//! `Clone`. A handler may [decline](IntoSubstitute): then the original goes out.
//!
//! # What the client gets
//!
//! The substitute, with any status, with the header [`DEGRADED`] that names the cause (see
//! [`Degraded::header_value`]), and with what the policies announce to an admitted caller. The
//! extension [`Degraded`] has the same cause for outer layers. [`Fallback::mark`] switches both
//! off. Caches ignore these marks, so a substitute without its own `cache-control` gets `no-store`.
//!
//! # What the policies observe
//!
//! The original outcome. The permit of a failed call ends with its own class (a failure for the
//! breaker of the same gate) *before* the substitute is made. A handler therefore holds no permit,
//! and its duration, panics and cancellation do not reach the policies. Gates and metrics *outside*
//! of the fallback observe the substitute. Handlers have no limit: keep them cheap, since they run
//! most during an outage.
//!
//! # Cost
//!
//! A successful answer to a GET costs one load and a few comparisons more than with
//! [`Http`](plimsoll_core::Http) alone; a POST also reads its content type. `handler_with` adds its
//! capture.
//!
//! # When not to use it
//!
//! - When a wrong answer is worse than an error (payments, writes).
//! - When clients should back off: a substitute with status 200 has no retry hint.
//!
//! # Recipes
//!
//! A program to copy: [a page instead of an
//! error](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/fallback_page.rs).
//! [All recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod cause;
mod fallback;
mod figures;
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
    substitute::{Fixed, Handler, HandlerWith, IntoSubstitute, Made, Substitute},
};
