//! The settings of a topic, checked.

use std::time::Duration;

use crate::{
    hub::LagPolicy,
    sse::{ladder::Marks, trace::Name},
    throttle::{Throttle, ThrottleBuilder},
};

#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) name: Name,
    pub(crate) marks: Marks,
    pub(crate) heartbeat: Duration,
    pub(crate) retry: Duration,
    pub(crate) poll_every: Duration,
    pub(crate) poll_events: usize,
    pub(crate) max_clients: usize,
    pub(crate) window: Option<u64>,
    pub(crate) ack_timeout: Duration,
    pub(crate) lag_policy: LagPolicy,
    /// Of each client, within `throttle`. It was built once, so building it again does not fail.
    pub(crate) client_throttle: Option<ThrottleBuilder>,
    /// Of all clients together.
    pub(crate) throttle: Option<Throttle>,
}

impl Limits {
    /// The buckets of a new client.
    pub(crate) fn client_throttle(&self) -> Option<Throttle> {
        let own = self.client_throttle.clone();
        own.and_then(|own| own.build().ok())
            .or_else(|| self.throttle.clone())
    }

    /// When a client that polls comes back: up to a quarter later, so that clients that were moved
    /// together do not come back together.
    pub(crate) fn poll_after(&self) -> Duration {
        self.poll_every.mul_f64(1.0 + 0.25 * fastrand::f64())
    }
}
