//! What a client propagates to its callees, and the thresholds that they announce.

mod context;
mod figures;
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
