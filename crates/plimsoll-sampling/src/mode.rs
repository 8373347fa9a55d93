//! How requests that are left out are treated.

use http::Request;

use crate::Sampled;

/// Applies a sampling decision to a request.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be applied to a `{Req}`",
    note = "`Mark` and `RejectAndMark` mark an `http::Request`; `Reject` works on every type"
)]
pub trait Mode<Req>: Send + Sync {
    /// Marks the request for the handler, and returns whether to admit it. At a rate of 1 it should
    /// do nothing: that is the common case.
    fn apply(&self, req: &mut Req, sampled: Sampled) -> bool;
}

/// Stores a [`Sampled`] in the request's extensions when the rate is below 1, and admits
/// everything. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mark;

/// Rejects requests that are left out, with [`Kind::Skipped`](plimsoll_core::Kind::Skipped): 202,
/// and nothing to retry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reject;

/// Rejects requests that are left out, and marks kept ones, so that stored data carries its weight.
#[derive(Debug, Clone, Copy, Default)]
pub struct RejectAndMark;

#[inline]
fn mark<B>(req: &mut Request<B>, sampled: Sampled) {
    if sampled.rate < 1.0 {
        insert(req, sampled);
    }
}

/// Performance: out of line, since in the common case there is nothing to insert.
#[inline(never)]
fn insert<B>(req: &mut Request<B>, sampled: Sampled) {
    req.extensions_mut().insert(sampled);
}

impl<B> Mode<Request<B>> for Mark {
    #[inline]
    fn apply(&self, req: &mut Request<B>, sampled: Sampled) -> bool {
        mark(req, sampled);
        true
    }
}

impl<Req> Mode<Req> for Reject {
    #[inline]
    fn apply(&self, _: &mut Req, sampled: Sampled) -> bool {
        sampled.keep
    }
}

impl<B> Mode<Request<B>> for RejectAndMark {
    #[inline]
    fn apply(&self, req: &mut Request<B>, sampled: Sampled) -> bool {
        if sampled.keep {
            mark(req, sampled);
        }
        sampled.keep
    }
}
