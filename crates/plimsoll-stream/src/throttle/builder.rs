//! The builder of a throttle.

use plimsoll_rate_limit::Quota;

use super::{bucket::Bucket, error::InvalidThrottle, limits::Throttle};

/// The settings of a [`Throttle`], checked together by [`build`](Self::build).
///
/// | setting | default |
/// |---|---|
/// | [`events`](Self::events) | no limit by events |
/// | [`bytes`](Self::bytes) | no limit by bytes |
/// | [`within`](Self::within) | no throttle around it |
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct ThrottleBuilder {
    events: Option<Quota>,
    bytes: Option<Quota>,
    within: Option<Throttle>,
}

impl Throttle {
    /// A builder without a quota; it needs at least one.
    pub fn builder() -> ThrottleBuilder {
        ThrottleBuilder::default()
    }
}

impl ThrottleBuilder {
    /// Limits the number of items: one token each.
    pub const fn events(mut self, quota: Quota) -> Self {
        self.events = Some(quota);
        self
    }

    /// Limits the weight of the items: one token for each byte.
    pub const fn bytes(mut self, quota: Quota) -> Self {
        self.bytes = Some(quota);
        self
    }

    /// Puts the throttle within one that is shared: each item takes from the buckets of both.
    pub fn within(mut self, all: &Throttle) -> Self {
        self.within = Some(all.clone());
        self
    }

    /// Builds the throttle, with full buckets.
    ///
    /// # Errors
    ///
    /// Neither quota is set, a quota is out of bounds, or [`within`](Self::within) has a throttle
    /// that is within another one.
    pub fn build(self) -> Result<Throttle, InvalidThrottle> {
        if self.events.is_none() && self.bytes.is_none() {
            return Err(InvalidThrottle::NoQuota);
        }
        if self.within.as_ref().is_some_and(Throttle::is_inner) {
            return Err(InvalidThrottle::Within);
        }
        // The buckets of a throttle around others come last.
        let first: usize = if self.within.is_some() { 0 } else { 2 };
        let bucket = |quota: Option<Quota>, index| {
            quota
                .map(|quota| Bucket::new(quota, first + index))
                .transpose()
        };
        let events = bucket(self.events, 0).map_err(InvalidThrottle::Events)?;
        let bytes = bucket(self.bytes, 1).map_err(InvalidThrottle::Bytes)?;
        Ok(Throttle::new(events, bytes, self.within))
    }
}
