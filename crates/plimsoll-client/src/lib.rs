//! Clients that cooperate with [Plimsoll](https://docs.rs/plimsoll) servers, for any Tower client.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::client`.
//!
//! | task | item |
//! |---|---|
//! | reject in the client what the callee would reject | [`AdaptiveThrottle`]: from the share that was accepted recently |
//! | read the wait and the quotas that a response states | [`RateLimitAdvice`] |
//! | propagate priority and deadline, and shed before sending | [`Downstream`]: the layer of a client |
//!
//! # Features
//! No feature is on by default. `call-scope` adds [`CallScopeLayer`], which gives calls the priority
//! of the request that they are made for.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod advice;
mod downstream;
mod error;
mod hints;
mod sync;
mod throttle;

#[cfg(feature = "call-scope")]
pub use self::downstream::{CallScope, CallScopeLayer};
pub use self::{
    advice::{QuotaLeft, QuotaPolicy, QuotaUnit, RateLimitAdvice},
    downstream::{CallContext, Downstream, DownstreamHandle, DownstreamPermit},
    error::{InvalidAdaptiveThrottle, InvalidDownstream},
    throttle::{AdaptiveThrottle, AdaptiveThrottleHandle, ThrottlePermit},
};
