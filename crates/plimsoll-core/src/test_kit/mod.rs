//! Contract checks for policies: the laws, as functions.
//!
//! Every policy crate runs them; run them for your own policies too. A [`Contract`] gets a function
//! that makes the policy and one that reads what it has handed out. It puts the policy behind real
//! gates, ends requests in every possible way, and panics with the law that was broken.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! # use std::{convert::Infallible, pin::Pin, sync::atomic::{AtomicU64, Ordering::SeqCst}, task::{Context, Poll}};
//! # use plimsoll_core::{Kind, Outcome, Policy, Rejection, policy::Verdict};
//! # use tokio::time::Instant;
//! # #[derive(Default)] struct OneAtATime { busy: AtomicU64 }
//! # impl<Req> Policy<Req> for OneAtATime {
//! #     type Permit = (); type Wait = Infallible;
//! #     fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
//! #         if self.busy.swap(1, SeqCst) == 1 { Verdict::Reject(Rejection::new("one", Kind::Full)) }
//! #         else { Verdict::Admit(()) }
//! #     }
//! #     fn finish(&self, (): (), _: &Outcome) { self.busy.store(0, SeqCst) }
//! #     fn revoke(&self, (): (), _: Instant, _: Instant) { self.busy.store(0, SeqCst) }
//! #     fn poll_wait(&self, w: Pin<&mut Infallible>, _: &mut Req, _: Instant, _: &mut Context<'_>)
//! #         -> Poll<Result<(), Rejection>> { match *w {} }
//! #     fn abandon(&self, w: Pin<&mut Infallible>, _: Instant) { match *w {} }
//! # }
//! use plimsoll_core::test_kit::Contract;
//!
//! Contract::new(OneAtATime::default, |policy| policy.busy.load(SeqCst)) // what is handed out now
//!     .capacity(1)                                       // admits this many at one instant
//!     .check_all()
//!     .await;
//! # }
//! ```
//!
//! Run the checks under a paused clock: `#[tokio::test(start_paused = true)]`.

mod audit;
mod contract;
mod scripted;

pub use self::{
    audit::{Audit, Audited, RejectAll},
    contract::Contract,
    scripted::{KitRequest, Script, Scripted, ScriptedBody, ScriptedError, request},
};
