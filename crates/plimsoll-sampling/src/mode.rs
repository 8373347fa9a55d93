//! What becomes of the requests that are left out.

use http::Request;

use crate::Sampled;

/// Applies a decision to a request.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be applied to a `{Req}`",
    note = "`Mark` and `RefuseAndMark` leave their mark in an `http::Request`; `Refuse` works on every type"
)]
pub trait Mode<Req>: Send + Sync {
    /// Leaves what the handler should know in the request, and tells whether to let it in. At a rate of 1 it should
    /// do nothing: that is most of the time.
    fn apply(&self, req: &mut Req, sampled: Sampled) -> bool;
}

/// Leaves a [`Sampled`] in the request's extensions, when the rate is below 1, and lets everything in. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mark;

/// Refuses what is left out, with [`Kind::Skipped`](plimsoll_core::Kind::Skipped): 202, and nothing to retry.
#[derive(Debug, Clone, Copy, Default)]
pub struct Refuse;

/// Refuses what is left out as [`Refuse`] does, and marks what is let in as [`Mark`] does, so that stored data carries its
/// weight.
#[derive(Debug, Clone, Copy, Default)]
pub struct RefuseAndMark;

#[inline]
fn mark<B>(req: &mut Request<B>, sampled: Sampled) {
    if sampled.rate < 1.0 {
        insert(req, sampled);
    }
}

/// Apart, because most of the time there is nothing to insert.
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

impl<Req> Mode<Req> for Refuse {
    #[inline]
    fn apply(&self, _: &mut Req, sampled: Sampled) -> bool {
        sampled.keep
    }
}

impl<B> Mode<Request<B>> for RefuseAndMark {
    #[inline]
    fn apply(&self, req: &mut Request<B>, sampled: Sampled) -> bool {
        if sampled.keep {
            mark(req, sampled);
        }
        sampled.keep
    }
}
