//! What the policies tell an accepted caller.

use http::HeaderMap;

use crate::{Allowance, RateLimitFields, decimal::decimal, wire};

/// The head or the trailers of an accepted response, for [`Policy::announce`](crate::Policy::announce).
#[derive(Debug)]
pub struct Announcement<'a> {
    headers: &'a mut HeaderMap,
    fields: RateLimitFields,
    trailers: bool,
}

impl<'a> Announcement<'a> {
    /// Writes to these headers.
    pub fn to(headers: &'a mut HeaderMap) -> Self {
        Self {
            headers,
            fields: RateLimitFields::default(),
            trailers: false,
        }
    }

    /// Writes to these trailers.
    pub fn to_trailers(trailers: &'a mut HeaderMap) -> Self {
        Self {
            trailers: true,
            ..Self::to(trailers)
        }
    }

    /// Whether these are the trailers, at the end of the body, and no more the head.
    pub fn in_trailers(&self) -> bool {
        self.trailers
    }

    /// Tells quotas in these fields instead of the default.
    #[must_use]
    pub fn rate_limit_fields(mut self, fields: RateLimitFields) -> Self {
        self.fields = fields;
        self
    }

    /// Tells the caller its quota and what is left of it. Several quotas stand side by side; see [`RateLimitFields`].
    /// In trailers, where nobody looks for it, this does nothing.
    pub fn allowance(&mut self, allowance: &Allowance) {
        if !self.trailers {
            self.fields.write(allowance, self.headers);
        }
    }

    /// Tells the caller the [level](crate::Priority::level) below which requests are shed now
    /// ([`wire::THRESHOLD`](crate::wire::THRESHOLD)). Of several, from policies or from services further down, the highest stays.
    pub fn threshold(&mut self, level: u16) {
        if wire::threshold(self.headers).is_none_or(|told| told < level) {
            self.headers.insert(wire::THRESHOLD, decimal(level.into()));
        }
    }

    /// The headers (or trailers) of the response, for anything else: to write, and on the client's side to read what the
    /// callee wrote.
    pub fn headers(&mut self) -> &mut HeaderMap {
        self.headers
    }
}
