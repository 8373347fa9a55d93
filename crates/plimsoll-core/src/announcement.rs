//! What policies write to accepted responses.

use http::HeaderMap;

use crate::{Allowance, RateLimitFields, decimal::decimal, wire};

/// The head or the trailers of an accepted response, for
/// [`Policy::announce`](crate::Policy::announce).
#[derive(Debug)]
pub struct Announcement<'a> {
    headers: &'a mut HeaderMap,
    fields: RateLimitFields,
    trailers: bool,
}

impl<'a> Announcement<'a> {
    /// Writes to the head of a response.
    pub fn to(headers: &'a mut HeaderMap) -> Self {
        Self {
            headers,
            fields: RateLimitFields::default(),
            trailers: false,
        }
    }

    /// Writes to the trailers of a response.
    pub fn to_trailers(trailers: &'a mut HeaderMap) -> Self {
        Self {
            trailers: true,
            ..Self::to(trailers)
        }
    }

    /// Returns whether these are the trailers at the end of the body, not the head.
    pub fn in_trailers(&self) -> bool {
        self.trailers
    }

    /// Writes quotas to these fields instead of the default.
    #[must_use]
    pub fn rate_limit_fields(mut self, fields: RateLimitFields) -> Self {
        self.fields = fields;
        self
    }

    /// Writes the caller's quota and what is left of it. Several quotas are written side by side;
    /// see [`RateLimitFields`]. Does nothing in trailers, where clients do not read it.
    pub fn allowance(&mut self, allowance: &Allowance) {
        if !self.trailers {
            self.fields.write(allowance, self.headers);
        }
    }

    /// Writes the [level](crate::Priority::level) below which requests are shed now
    /// ([`wire::THRESHOLD`](crate::wire::THRESHOLD)). The highest level stays when several policies
    /// or services further down write one.
    pub fn threshold(&mut self, level: u16) {
        if wire::threshold(self.headers).is_none_or(|told| told < level) {
            self.headers.insert(wire::THRESHOLD, decimal(level.into()));
        }
    }

    /// Returns the headers (or trailers) of the response, for everything else.
    ///
    /// Policies can write to them, and on the client's side read what the callee wrote.
    pub fn headers(&mut self) -> &mut HeaderMap {
        self.headers
    }
}
