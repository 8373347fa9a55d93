//! The policy that captures the trace of a request.

use std::convert::Infallible;

use http::Request;
use plimsoll_core::{
    Key, Outcome, Policy, TraceId,
    policy::{Interests, Verdict},
};
use tokio::time::Instant;

use crate::GateMetrics;

/// A policy that admits every request and keeps the trace of some as [exemplars](crate::Exemplar).
///
/// Made by [`GateMetrics::exemplars`]. An observer sees no request at its end; the permit of this
/// policy is the trace id, so only gates with this policy carry it.
///
/// Only requests with a `traceparent` whose flag `sampled` is set are kept, since others have no
/// trace to look at: for each bucket of `plimsoll_latency_seconds` the latest one, replaced at most
/// once a second. A request that finds an exemplar being read or written does not wait.
///
/// ```
/// use plimsoll_core::GateLayer;
/// use plimsoll_metrics::Metrics;
/// # let limit = ();
///
/// let edge = Metrics::new().gate("edge");
/// let layer = GateLayer::builder((edge.exemplars(), limit)).observe(edge.clone()).build();
/// # let _: GateLayer<(plimsoll_metrics::Exemplars, ())> = layer;
/// ```
#[doc(alias("traceparent"))]
#[derive(Debug, Clone)]
pub struct Exemplars(GateMetrics);

impl GateMetrics {
    /// A policy for the gate that keeps [exemplars](crate::GateSnapshot::exemplars): traces of requests by
    /// latency. It costs a look-up of the header `traceparent` per request, and 16 bytes in each
    /// permit.
    pub fn exemplars(&self) -> Exemplars {
        self.expect_exemplars();
        Exemplars(self.clone())
    }
}

impl<B> Policy<Request<B>> for Exemplars {
    /// The trace id in two halves, 0 without one: a `u128` would align the permit to 16 bytes.
    type Permit = [u64; 2];
    plimsoll_core::decides_at_once!(Request<B>);

    fn admit(&self, req: &mut Request<B>, _: Instant) -> Verdict<[u64; 2], Infallible> {
        let trace = sampled(req).unwrap_or(0);
        Verdict::Admit([(trace >> 64) as u64, trace as u64])
    }

    #[inline]
    fn finish(&self, [high, low]: [u64; 2], outcome: &Outcome) {
        if high | low != 0 {
            let trace = u128::from(high) << 64 | u128::from(low);
            self.0.keep_exemplar(trace, outcome);
        }
    }

    fn revoke(&self, _: [u64; 2], _: Instant, _: Instant) {}

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::LATENCY
    }
}

/// The trace id of a sampled request.
fn sampled<B>(req: &Request<B>) -> Option<u128> {
    /// Where `version "-" trace-id "-" parent-id "-"` ends, and the flags after it.
    const FLAGS: std::ops::Range<usize> = 53..55;
    let trace = TraceId.key(req)?;
    let line = req.headers().get("traceparent")?.as_bytes().trim_ascii();
    let flags = std::str::from_utf8(line.get(FLAGS)?).ok()?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    (flags & 1 != 0).then_some(trace)
}
