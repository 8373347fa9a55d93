//! Plimsoll: the gate alone, and each layer alone.

use std::{convert::Infallible, mem::forget, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder};
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{
    ByExtension, Class, Deadlines, Gate, GateLayer, HeaderKey, Http, Keyed, Kind, LoadSignal,
    Missing, Outcome, Plain, Policy, Rejection, policy::Verdict,
};
use plimsoll_fallback::{Fallback, Fixed};
use plimsoll_load_shed::{Depth, LoadShed};
use plimsoll_rate_limit::{KeyedRateLimit, Quota, RateLimit};
use plimsoll_sampling::{Rates, Sampling};
use tokio::time::Instant;
use tower::Layer;

use super::{
    Case, Empty,
    bare::{API_KEY, Bare, HTTP, KEYED},
    case::{occupied, spent},
};

pub(super) type Inner = Bare<Full<Bytes>>;

/// Duration of rejections by rate limit, breaker and full queue: longer than a run, but with the
/// usual number of digits in `retry-after`.
const WHILE: Duration = Duration::from_secs(90);
/// More than any benchmark uses.
pub const AMPLE: Quota = Quota::per_second(1_000_000_000);
/// Spent by the first call.
pub const SPENT: Quota = Quota::new(1, WHILE);

/// The gate's cases, and those of single layers.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("plimsoll/gate@accept", HTTP, || gate(())),
        Case::new("plimsoll/gate@reject", HTTP, || gate(Refuse)),
        Case::new("plimsoll/gate-keyed@reject", KEYED, || gate(Refuse)),
        Case::new("plimsoll/rate-limit@accept", HTTP, || gate(rate(AMPLE))),
        Case::new("plimsoll/rate-limit@reject", HTTP, || {
            spent(HTTP, gate(rate(SPENT)))
        }),
        Case::new("plimsoll/rate-limit-announced@accept", HTTP, || {
            gate(announced(AMPLE))
        }),
        Case::new("plimsoll/rate-limit-announced@reject", HTTP, || {
            spent(HTTP, gate(announced(SPENT)))
        }),
        Case::new("plimsoll/rate-limit-per-key@accept", KEYED, || {
            gate(per_key(AMPLE))
        }),
        Case::new("plimsoll/rate-limit-per-key@reject", KEYED, || {
            spent(KEYED, gate(per_key(SPENT)))
        }),
        Case::new("plimsoll/concurrency@accept", HTTP, || {
            gate(concurrency(1024))
        }),
        Case::new("plimsoll/concurrency@reject", HTTP, || {
            occupied(gate(concurrency(1)))
        }),
        Case::new("plimsoll/concurrency-per-key@accept", KEYED, || {
            gate(concurrency_per_key())
        }),
        Case::new("plimsoll/concurrency-queued@accept", HTTP, || {
            gate(ranked(queued(1024)))
        }),
        Case::new("plimsoll/concurrency-queued@reject", HTTP, || {
            // One request has the slot, and one is queued.
            occupied(occupied(gate(ranked(queued(1)))))
        }),
        Case::new("plimsoll/adaptive@accept", HTTP, || {
            gate(ConcurrencyLimit::adaptive())
        }),
        Case::new("plimsoll/adaptive-ranked@accept", HTTP, || {
            gate(ranked(ConcurrencyLimit::adaptive()))
        }),
        Case::new("plimsoll/load-shed@accept", HTTP, || {
            gate(LoadShed::new(depth(0)))
        }),
        Case::new("plimsoll/load-shed@reject", HTTP, || {
            gate(LoadShed::new(depth(DEPTH)))
        }),
        Case::new("plimsoll/circuit-breaker@accept", HTTP, || gate(closed())),
        Case::new("plimsoll/circuit-breaker-by-time@accept", HTTP, || {
            gate(by_time())
        }),
        Case::new("plimsoll/circuit-breaker-consecutive@accept", HTTP, || {
            gate(build(CircuitBreaker::builder().consecutive_failures(5)))
        }),
        Case::new("plimsoll/circuit-breaker-slow-calls@accept", HTTP, || {
            gate(build(CircuitBreaker::builder().slow_call(WHILE)))
        }),
        Case::new("plimsoll/circuit-breaker@reject", HTTP, || gate(open())),
        Case::new("plimsoll/circuit-breaker-without-http@reject", HTTP, || {
            let layer = GateLayer::builder(open()).protocol(Plain::new());
            layer.build().layer(Inner::OK)
        }),
        Case::new("plimsoll/sampling@accept", HTTP, || {
            gate(sampling(depth(0)))
        }),
        Case::new("plimsoll/sampling-marked@accept", HTTP, || {
            gate(sampling(depth(DEPTH)))
        }),
        Case::new("plimsoll/sampling@reject", HTTP, || {
            gate(sampling(depth(DEPTH)).reject())
        }),
        Case::new("plimsoll/fallback@accept", HTTP, || {
            house_ad().into_layer().layer(Inner::OK)
        }),
        Case::new("plimsoll/fallback@reject", HTTP, || {
            house_ad().into_layer().layer(Inner::FAILING)
        }),
    ]
}

fn gate<P>(policy: P) -> Gate<Inner, P, Http> {
    GateLayer::new(policy).layer(Inner::OK)
}

/// One limit for all.
///
/// # Panics
///
/// When the quota is not valid.
pub fn rate(quota: Quota) -> RateLimit {
    RateLimit::new(quota).expect("the quota is valid")
}

/// A limit that announces its quota.
///
/// # Panics
///
/// When the quota is not valid.
pub fn announced(quota: Quota) -> RateLimit {
    rate(quota.named("bench"))
}

/// One limit per key, read from a header.
///
/// # Panics
///
/// When the quota is not valid.
pub fn per_key(quota: Quota) -> KeyedRateLimit<HeaderKey> {
    rate(quota)
        .per_key(HeaderKey(API_KEY), Missing::Share, 10_000)
        .expect("a valid capacity")
}

pub(super) fn concurrency(limit: usize) -> ConcurrencyLimit {
    ConcurrencyLimit::new(limit).expect("the limit is not zero")
}

/// A limit per key in `Keyed`, the table for any policy.
fn concurrency_per_key() -> Keyed<HeaderKey, ConcurrencyLimit> {
    let limit = concurrency(1024).reject_as_over_quota();
    limit
        .per_key(HeaderKey(API_KEY), Missing::Share, 10_000)
        .expect("a valid capacity")
}

/// A limit with a queue of the same length.
fn queued(limit: usize) -> ConcurrencyLimit {
    concurrency(limit)
        .queue(limit, WHILE)
        .expect("a queue within bounds")
}

/// A limit that reads the priorities and deadlines of waiters.
fn ranked(limit: ConcurrencyLimit) -> ConcurrencyLimit<Deadlines, ByExtension> {
    limit.priorities(ByExtension).deadlines(Deadlines::new())
}

const DEPTH: usize = 1024;

/// A queue with a capacity of [`DEPTH`], with `entries` entries that stay.
fn depth(entries: usize) -> Depth {
    let depth = Depth::new(DEPTH).expect("the capacity is not zero");
    (0..entries).for_each(|_| forget(depth.enter()));
    depth
}

/// Keeps everything at low load, and nothing at full load.
pub(super) fn sampling<L: LoadSignal>(load: L) -> Sampling<L> {
    Sampling::new(
        load,
        Rates {
            min: 0.0,
            ..Rates::DEFAULT
        },
    )
    .expect("valid rates")
}

/// A breaker in its first state, closed.
pub(super) fn closed() -> CircuitBreaker {
    build(CircuitBreaker::builder().open_for(WHILE).jitter(0.0))
}

fn build(builder: CircuitBreakerBuilder) -> CircuitBreaker {
    builder.build().expect("valid settings")
}

/// A breaker with a window of ten seconds and ten thousand calls in it.
fn by_time() -> CircuitBreaker {
    let breaker = build(CircuitBreaker::builder().window_time(Duration::from_secs(10)));
    let (mut request, now) = ((HTTP.request)(), Instant::now());
    for _ in 0..10_000 {
        if let Verdict::Admit(permit) = breaker.admit(&mut request, now) {
            let success = Outcome::new(Class::Success, Duration::ZERO, now);
            Policy::<Request<Empty>>::finish(&breaker, permit, &success);
        }
    }
    assert_eq!(breaker.handle().calls(), 10_000);
    breaker
}

/// A breaker that was opened by failures and stays open.
pub(super) fn open() -> CircuitBreaker {
    let (breaker, mut request, now) = (closed(), (HTTP.request)(), Instant::now());
    while let Verdict::Admit(permit) = breaker.admit(&mut request, now) {
        let failure = Outcome::new(Class::Failure, Duration::ZERO, now);
        Policy::<Request<Empty>>::finish(&breaker, permit, &failure);
    }
    breaker
}

/// The substitute for rejections and failures.
pub(super) fn house_ad() -> Fallback<Fixed> {
    Fallback::answer(Response::new("a house ad"))
}

/// Rejects everything: what remains is the cost of a rejection.
pub(super) struct Refuse;

impl<Req> Policy<Req> for Refuse {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        Verdict::Reject(
            Rejection::new("bench", Kind::Full).with_retry_after(Duration::from_millis(250)),
        )
    }
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}
