//! The gates of the protected app, at four places that can be overloaded.

use std::{error::Error, time::Duration};

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer};
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle};
use plimsoll_core::{ByHeader, Deadlines, GateLayer, HeaderKey, Kind, Missing};
use plimsoll_fallback::{Fallback, Fixed};
use plimsoll_load_shed::{Depth, LoadShed, LoadShedLayer};
use plimsoll_metrics::Metrics;
use plimsoll_rate_limit::{KeyedRateLimit, Quota, RateLimit};
use plimsoll_sampling::{Rates, Sampling};

use super::auction;
use crate::{settings::PUBLISHER_QUOTA, wire};

/// Maximum number of publishers with a bucket of their own.
const MAX_PUBLISHERS: usize = 10_000;
/// Maximum number of impressions in the log's queue: less than one second of writing.
const LOG_QUEUE: usize = 256;

/// The gate of the auctions: three policies in one gate, and a house ad in place of a rejection.
pub(super) type AuctionLayer = GateLayer<
    (
        KeyedRateLimit<HeaderKey>,
        ConcurrencyLimit<Deadlines>,
        Sampling<ConcurrencyLimitHandle>,
    ),
    Fallback<Fixed>,
>;

/// Places 1 and 2. Policies decide from left to right. A rejection by the evaluator costs no token.
pub(super) fn auction(metrics: &Metrics, capacity: f64) -> Result<AuctionLayer, Box<dyn Error>> {
    let publishers = publishers(metrics, capacity)?;
    let evaluator = evaluator(metrics)?;
    // Analytics are reduced before auctions: from 0.7 of the evaluator's limit fewer are recorded.
    let rates = Rates {
        base: 1.0,
        min: 0.1,
        threshold: 0.7,
    };
    let sampling = Sampling::new(evaluator.handle(), rates)?;
    metrics.watch("auction", sampling.handle())?;
    // A publisher over its quota gets a 429, other rejected auctions a house ad.
    let fallback = Fallback::answer(auction::house_ad());
    metrics.watch("auction", fallback.handle())?;
    let counters = metrics
        .gate("auction")
        .expecting("rate-limit", Kind::OverQuota)
        .expecting("concurrency", Kind::Full);
    Ok(GateLayer::builder((publishers, evaluator, sampling))
        .protocol(fallback)
        .observe(counters)
        .build())
}

/// Place 1, at the edge: a token bucket per publisher, so that a greedy one cannot use all of the
/// capacity.
fn publishers(
    metrics: &Metrics,
    capacity: f64,
) -> Result<KeyedRateLimit<HeaderKey>, Box<dyn Error>> {
    let per_second = (capacity * PUBLISHER_QUOTA).max(1.0) as u32;
    let quota = Quota::per_second(per_second)
        .burst(per_second.div_ceil(2))
        .named("per-publisher");
    let limit = RateLimit::new(quota)?;
    // Requests without a publisher share one bucket.
    let limit = limit.per_key(HeaderKey(wire::PUBLISHER), Missing::Share, MAX_PUBLISHERS)?;
    metrics.watch("auction", limit.handle())?;
    Ok(limit)
}

/// Place 2, at the auction evaluator: a limit on auctions in flight that finds the store's capacity.
///
/// An auction holds a worker of the store and then waits for bids; no setting states either.
/// Requests state the time until their clients give up, so that the limit and its queue hold no more
/// auctions than can be answered in time.
fn evaluator(metrics: &Metrics) -> Result<ConcurrencyLimit<Deadlines>, Box<dyn Error>> {
    let limit = ConcurrencyLimit::adaptive().deadlines(Deadlines::propagated());
    metrics.load("evaluator", limit.handle())?;
    metrics.watch("auction", limit.handle())?;
    Ok(limit)
}

/// The gate of the impression logger.
pub(super) type LoggerLayer = LoadShedLayer<Depth, ByHeader<HeaderKey>>;

/// Place 3, at the impression logger: load shedding by the depth of its queue.
///
/// Impressions beyond the disk's throughput must neither fill the memory nor be dropped at random. As
/// the queue fills, those for statistics are shed first and billed ones last. Within a kind they are
/// shed by publisher, so that the data of the remaining publishers is complete.
pub(super) fn logger(metrics: &Metrics) -> Result<(LoggerLayer, Depth), Box<dyn Error>> {
    let depth = Depth::new(LOG_QUEUE)?;
    let priorities = ByHeader::trusted()
        .criticality_header(wire::CRITICALITY)
        .cohort_from(HeaderKey(wire::PUBLISHER));
    let shed = LoadShed::new(depth.clone())
        .between(0.3, 0.9)?
        .priorities(priorities);
    metrics.load("impression-log", depth.clone())?;
    metrics.watch("logger", shed.handle())?;
    let counters = metrics
        .gate("logger")
        .expecting("load-shed", Kind::Full)
        .criticality_header(wire::CRITICALITY);
    Ok((GateLayer::builder(shed).observe(counters).build(), depth))
}

/// Place 4, in front of each bidder: a circuit breaker, so that auctions do not wait for the time limit
/// of a bidder that does not answer.
pub(super) fn bidder(
    metrics: &Metrics,
    name: &'static str,
) -> Result<CircuitBreakerLayer, Box<dyn Error>> {
    let breaker = CircuitBreaker::builder()
        // At full load the last 0.06 seconds: the circuit of a slow bidder opens soon.
        .window(20)
        .min_calls(10)
        .failure_rate(0.5)
        .open_for(Duration::from_secs(1))
        // One auction per second probes the bidder.
        .probes(1)
        .successes(3)
        .build()?;
    let gate = format!("bidder-{name}");
    metrics.watch(gate.as_str(), breaker.handle())?;
    let counters = metrics
        .gate(gate)
        .expecting("circuit-breaker", Kind::CircuitOpen);
    Ok(GateLayer::builder(breaker).observe(counters).build())
}
