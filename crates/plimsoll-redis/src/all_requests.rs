//! One key for all requests.

use plimsoll_core::Key;

/// Gives all requests the same key: one limit for the whole fleet.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllRequests;

impl<Req> Key<Req> for AllRequests {
    type Key<'a>
        = ()
    where
        Req: 'a;

    #[inline]
    fn key<'a>(&'a self, _: &'a Req) -> Option<()> {
        Some(())
    }
}
