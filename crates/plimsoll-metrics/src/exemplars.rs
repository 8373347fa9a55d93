//! Exemplars: for each bucket of the latency, a recent request and its trace.

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use plimsoll_core::{
    Class, Key, Outcome, Policy, TraceId,
    policy::{Epoch, Interests, Verdict},
};
use tokio::time::Instant;

use crate::layout::BOUNDS;

/// How often the exemplar of a bucket is replaced, in nanoseconds: once a second, so that threads
/// do not contend for it (`an_exemplar_is_replaced_after_a_second`).
const REPLACED: u64 = 1_000_000_000;

/// A request whose trace shows why a latency was as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exemplar {
    /// Request to head of the response.
    pub latency: Duration,
    /// The trace id of the request's `traceparent` header; `{:032x}` is its usual form.
    pub trace: u128,
    /// When the head came.
    pub at: Instant,
}

/// A policy that admits every request and keeps the trace of some as [exemplars](Exemplar).
///
/// Made by [`GateMetrics::exemplars`](crate::GateMetrics::exemplars). An observer sees no request at its end; the permit of this
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
pub struct Exemplars(Arc<Kept>);

impl Exemplars {
    pub(crate) const fn new(kept: Arc<Kept>) -> Self {
        Self(kept)
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
            self.0.keep(trace, outcome);
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

/// The exemplars of a gate.
#[derive(Default)]
pub(crate) struct Kept {
    epoch: Epoch,
    buckets: [Bucket; BOUNDS.len() + 1],
}

#[derive(Default)]
struct Bucket {
    /// When the exemplar may be replaced, in nanoseconds.
    next: AtomicU64,
    latest: Mutex<Option<Exemplar>>,
}

impl Kept {
    fn keep(&self, trace: u128, outcome: &Outcome) {
        let counts = !matches!(
            outcome.class,
            Class::Cancelled | Class::Overloaded | Class::Rejected
        );
        let (Some(nanos), true) = (outcome.head_nanos(), counts) else {
            return;
        };
        let bucket = &self.buckets[BOUNDS.partition_point(|bound| *bound < nanos)];
        let at = outcome.head_at();
        let now = self.epoch.nanos(at);
        if now < bucket.next.load(Relaxed) {
            return;
        }
        if let Ok(mut latest) = bucket.latest.try_lock() {
            bucket.next.store(now.saturating_add(REPLACED), Relaxed);
            *latest = Some(Exemplar {
                latency: Duration::from_nanos(nanos),
                trace,
                at,
            });
        }
    }

    /// The exemplars, the shortest latency first.
    pub(crate) fn read(&self) -> Vec<Exemplar> {
        let latest =
            |bucket: &Bucket| *bucket.latest.lock().unwrap_or_else(PoisonError::into_inner);
        self.buckets.iter().filter_map(latest).collect()
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read()).finish()
    }
}
