//! Keys: what limits per key count by.

mod api_key;
mod authority;
mod bearer;
mod client_ip;
mod header;
mod label;
mod missing;
mod route;
mod secret;
mod trace_id;

use std::{convert::Infallible, hash::Hash};

pub use self::{
    api_key::ApiKey,
    authority::{Authority, AuthorityKey},
    bearer::BearerToken,
    client_ip::{ClientAddr, ClientIp, InvalidIpRange, IpRange, PeerAddr},
    header::HeaderKey,
    label::{Labelled, labelled},
    missing::{Missing, MissingKeys},
    route::Route,
    secret::SecretKey,
    trace_id::TraceId,
};
pub(crate) use self::{label::label_of, missing::noted, secret::Line};

/// Reads a key from a request. Implemented for closures `Fn(&Req) -> Option<K>`, for any `K: Hash`.
///
/// `None` means a request without a key. The [`Missing`] of the
/// [`Keyed`](crate::Keyed) policy decides about it; it is not an error.
///
/// A closure or function must return an owned key. A key that borrows from the request needs an
/// `impl Key`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` reads no key from a `{Req}`",
    note = "use `ClientIp`, `ApiKey`, `BearerToken`, `HeaderKey`, `Route`, `Authority`, `TraceId`, or a closure `|req: &{Req}| -> Option<K>` with `K: Hash`"
)]
pub trait Key<Req>: Send + Sync {
    /// The key, borrowed from the request where possible. Only its hash is kept.
    type Key<'a>: Hash
    where
        Self: 'a,
        Req: 'a;

    /// Returns the key of this request.
    fn key<'a>(&'a self, req: &'a Req) -> Option<Self::Key<'a>>;

    /// Returns one sentence about how to give such a request a key. The warning about the first
    /// request without a key contains it.
    fn cure(&self, req: &Req) -> &'static str {
        _ = req;
        "send the key with each request, or decide about requests without one (`Missing`)"
    }

    /// Returns the key of this request as text, for reports to operators.
    ///
    /// `None` by default, and for secrets. It names the key in transitions of circuit breakers and
    /// in the counters of a [`Shadow`](crate::Shadow). [`labelled`] gives a closure or a secret a
    /// label.
    fn label(&self, req: &Req) -> Option<String> {
        _ = req;
        None
    }
}

/// Reads no key: for settings that take an optional key.
impl<Req> Key<Req> for () {
    type Key<'a>
        = Infallible
    where
        Req: 'a;

    #[inline]
    fn key<'a>(&'a self, _: &'a Req) -> Option<Infallible> {
        None
    }
}

impl<Req, K, F> Key<Req> for F
where
    F: Fn(&Req) -> Option<K> + Send + Sync,
    K: Hash,
{
    type Key<'a>
        = K
    where
        F: 'a,
        Req: 'a;

    #[inline]
    fn key<'a>(&'a self, req: &'a Req) -> Option<K> {
        self(req)
    }
}
