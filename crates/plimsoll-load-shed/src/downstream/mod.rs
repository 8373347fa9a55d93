//! What a service passes on to those it calls, and what it learns from them.

mod context;
mod learned;
mod policy;
#[cfg(feature = "call-scope")]
mod scope;
mod share;
mod write;

#[cfg(feature = "call-scope")]
pub use self::scope::{CallScope, CallScopeLayer};
pub use self::{
    context::CallContext,
    policy::{Downstream, DownstreamHandle, DownstreamPermit},
};
