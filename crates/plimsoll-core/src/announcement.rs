//! What the policies tell an accepted caller.

use http::HeaderMap;

use crate::{Allowance, RateLimitFields};

/// Writes to the head of an accepted response, for [`Policy::announce`](crate::Policy::announce).
#[derive(Debug)]
pub struct Announcement<'a> {
    headers: &'a mut HeaderMap,
    fields: RateLimitFields,
}

impl<'a> Announcement<'a> {
    /// Writes to these headers.
    pub fn to(headers: &'a mut HeaderMap) -> Self {
        Self {
            headers,
            fields: RateLimitFields::default(),
        }
    }

    /// Tells quotas in these fields instead of the default.
    #[must_use]
    pub fn rate_limit_fields(mut self, fields: RateLimitFields) -> Self {
        self.fields = fields;
        self
    }

    /// Tells the caller its quota and what is left of it. Several quotas stand side by side; see [`RateLimitFields`].
    pub fn allowance(&mut self, allowance: &Allowance) {
        self.fields.write(allowance, self.headers);
    }

    /// The headers of the response, for anything else.
    pub fn headers(&mut self) -> &mut HeaderMap {
        self.headers
    }
}
