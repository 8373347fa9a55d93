//! The gates of the protected app: four places, four ways to be overrun.

use std::{error::Error, time::Duration};

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerLayer};
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle};
use plimsoll_core::{ByHeader, GateLayer, HeaderKey, Http, Kind, Missing};
use plimsoll_fallback::{Fallback, Fixed};
use plimsoll_load_shed::{Depth, LoadShed, LoadShedLayer};
use plimsoll_metrics::Metrics;
use plimsoll_rate_limit::{KeyedRateLimit, Quota, RateLimit};
use plimsoll_sampling::{Rates, Sampling};

use super::auction;
use crate::{
    settings::{BID_SERVICE, PUBLISHER_QUOTA, STORE_SERVICE, STORE_WORKERS},
    wire,
};

/// Publishers that can have a bucket of their own at the same time.
const MAX_PUBLISHERS: usize = 10_000;
/// Impressions in the queue to the log, at most: less than a second of writing.
const LOG_QUEUE: usize = 256;

/// The gate of the auctions: three policies fused into one gate, and a house ad for those it has no room for.
pub(super) type AuctionLayer = GateLayer<
    (
        KeyedRateLimit<HeaderKey>,
        ConcurrencyLimit,
        Sampling<ConcurrencyLimitHandle>,
    ),
    Fallback<Fixed>,
>;

/// Places 1 and 2. Asked from left to right; when the evaluator is full, the publisher gets its token back.
pub(super) fn auction(metrics: &Metrics, capacity: f64) -> Result<AuctionLayer, Box<dyn Error>> {
    let publishers = publishers(metrics, capacity)?;
    let evaluator = evaluator(metrics)?;
    // Analytics give way before auctions do: from seven tenths of the evaluator's limit on fewer and fewer are recorded.
    let rates = Rates {
        base: 1.0,
        min: 0.1,
        threshold: 0.7,
    };
    let sampling = Sampling::new(evaluator.handle(), rates)?;
    // A publisher over its quota gets its 429; everybody else an ad, if not the best.
    let fallback = Fallback::answer(auction::house_ad());
    let counters = metrics
        .gate("auction")
        .expecting("rate-limit", Kind::OverQuota)
        .expecting("concurrency", Kind::Full);
    Ok(GateLayer::builder((publishers, evaluator, sampling))
        .protocol(fallback)
        .observe(counters)
        .build())
}

/// Place 1, at the edge: one greedy publisher must not use up what all of them share. A token bucket for each.
fn publishers(
    metrics: &Metrics,
    capacity: f64,
) -> Result<KeyedRateLimit<HeaderKey>, Box<dyn Error>> {
    let per_second = (capacity * PUBLISHER_QUOTA).max(1.0) as u32;
    let quota = Quota::per_second(per_second)
        .burst(per_second.div_ceil(2))
        .named("per-publisher");
    let limit = RateLimit::new(quota)?;
    // Requests without a name share one bucket.
    let limit = limit.per_key(HeaderKey(wire::PUBLISHER), Missing::Share, MAX_PUBLISHERS)?;
    let keys = limit.handle();
    let read = move || keys.keys() as f64;
    metrics.gauge("adserver_publishers", "Publishers with a bucket", &[], read)?;
    Ok(limit)
}

/// Place 2, at the auction evaluator: more auctions at a time than the store has workers only wait for each other.
///
/// Little's law says how many auctions keep the store busy: each holds a worker for the store's time and is then away for
/// the bids. Forty per cent more keep a few waiting in front of the store, so that it never idles when auctions come
/// unevenly. As many as the store has workers may wait here for a moment, which smooths bursts. The longest way through is
/// that wait and a queue of seven at the store: some 100 ms, far from the 250 ms at which clients give up.
fn evaluator(metrics: &Metrics) -> Result<ConcurrencyLimit, Box<dyn Error>> {
    let busy = STORE_WORKERS as f64 * (1.0 + BID_SERVICE.div_duration_f64(STORE_SERVICE));
    let limit = (busy * 1.4).ceil() as usize;
    let limit = ConcurrencyLimit::new(limit)?.queue(STORE_WORKERS, Duration::from_millis(40))?;
    let handle = limit.handle();
    metrics.load("evaluator", handle.clone())?;
    let gauge = |name, help, read: fn(&ConcurrencyLimitHandle) -> usize| {
        let handle = handle.clone();
        metrics.gauge(name, help, &[], move || read(&handle) as f64)
    };
    gauge(
        "adserver_auction_limit",
        "Auctions that may run",
        ConcurrencyLimitHandle::limit,
    )?;
    gauge(
        "adserver_auctions_queued",
        "Auctions that wait",
        ConcurrencyLimitHandle::queued,
    )?;
    Ok(limit)
}

/// The gate of the impression logger.
pub(super) type LoggerLayer = LoadShedLayer<Depth, Http, ByHeader<HeaderKey>>;

/// Place 3, at the impression logger: what the disk cannot take must neither pile up in memory nor be dropped at
/// random. As the queue fills, statistics go first and billed impressions last, by publisher within each kind, so that
/// those that are kept make whole pictures.
pub(super) fn logger(metrics: &Metrics) -> Result<(LoggerLayer, Depth), Box<dyn Error>> {
    let depth = Depth::new(LOG_QUEUE)?;
    let priorities = ByHeader::trusted()
        .criticality_header(wire::CRITICALITY)
        .cohort_from(HeaderKey(wire::PUBLISHER));
    let shed = LoadShed::new(depth.clone())
        .between(0.3, 0.9)?
        .priorities(priorities);
    metrics.load("impression-log", depth.clone())?;
    let counters = metrics.gate("logger").expecting("load-shed", Kind::Full);
    Ok((GateLayer::builder(shed).observe(counters).build(), depth))
}

/// Place 4, in front of each bidder: one that does not answer must not cost every auction its time limit.
pub(super) fn bidder(
    metrics: &Metrics,
    name: &'static str,
) -> Result<CircuitBreakerLayer, Box<dyn Error>> {
    const STATES: &[&str] = &[
        "closed",
        "open",
        "half-open",
        "forced-open",
        "forced-closed",
    ];
    let breaker = CircuitBreaker::builder()
        // The last twentieth of a second in busy times: a bidder that turns slow is soon left alone.
        .window(20)
        .min_calls(10)
        .failure_rate(0.5)
        .open_for(Duration::from_secs(1))
        // One auction a second finds out whether it is well again.
        .probes(1)
        .successes(3)
        .build()?;
    let handle = breaker.handle();
    let state = handle.clone();
    metrics.state(
        "adserver_breaker_state",
        "State of a bidder's circuit",
        &[("bidder", name)],
        STATES,
        move || state.state().as_str(),
    )?;
    let counters = metrics
        .gate(format!("bidder-{name}"))
        .expecting("circuit-breaker", Kind::CircuitOpen);
    Ok(GateLayer::builder(breaker).observe(counters).build())
}
