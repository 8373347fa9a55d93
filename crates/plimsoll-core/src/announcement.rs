//! What the policies tell an accepted caller.

use http::HeaderMap;

use crate::Allowance;

/// Writes to the head of an accepted response, for [`Policy::announce`](crate::Policy::announce).
#[derive(Debug)]
pub struct Announcement<'a> {
    headers: &'a mut HeaderMap,
}

impl<'a> Announcement<'a> {
    /// Writes to these headers.
    pub fn to(headers: &'a mut HeaderMap) -> Self {
        Self { headers }
    }

    /// Tells the caller its quota and what is left of it. Several quotas stand side by side.
    pub fn allowance(&mut self, allowance: &Allowance) {
        allowance.write(self.headers);
    }

    /// The headers of the response, for anything else.
    pub fn headers(&mut self) -> &mut HeaderMap {
        self.headers
    }
}
