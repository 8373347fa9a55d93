//! The numbers of the experiment, each with its reason.
//!
//! The service times of the store and the bidders are chosen. The settings of the app follow from
//! them.

use std::time::Duration;

/// Requests that the store works on at a time, such as the connections of a database pool.
pub(crate) const STORE_WORKERS: usize = 10;
/// Service time of the store, varied by [`STORE_JITTER`].
///
/// With ten workers that is a little over 300 requests per second: two cores handle ten times as many,
/// so that the store is overloaded and never the machine.
pub(crate) const STORE_SERVICE: Duration = Duration::from_millis(30);
/// Share by which the store's service time varies, uniformly, in both directions.
pub(crate) const STORE_JITTER: f64 = 0.2;

/// Mean response time of a healthy bidder.
pub(crate) const BID_SERVICE: Duration = Duration::from_millis(8);
/// Mean response time of a slow bidder, far above [`BID_TIMEOUT`].
pub(crate) const SLOW_BID: Duration = Duration::from_millis(600);
/// Time limit of a bid in both servers (the `tmax` of `OpenRTB`).
pub(crate) const BID_TIMEOUT: Duration = Duration::from_millis(150);
/// The bidders, by name.
pub(crate) const BIDDERS: [&str; 3] = ["ada", "bob", "cyd"];

/// Time after which a client gives up, from when its request was due.
pub(crate) const CLIENT_DEADLINE: Duration = Duration::from_millis(250);
/// Maximum number of the generator's sockets.
///
/// At ten times the capacity about 4,000 requests per second, each given up after 0.25 seconds, are
/// 1,000 in flight.
pub(crate) const CLIENT_SOCKETS: usize = 3_000;
/// Largest delay of a request behind its schedule. With a longer one the load is no open loop, and the
/// phase is void.
pub(crate) const LAG_BOUND: Duration = Duration::from_millis(50);

/// Impressions per auction.
pub(crate) const IMPRESSIONS_PER_AUCTION: f64 = 0.25;
/// Bytes of one logged impression with its auction's context.
pub(crate) const IMPRESSION_BYTES: usize = 4 * 1024;
/// Maximum number of records in one write, which is followed by one `fsync`.
pub(crate) const LOG_BATCH: usize = 32;
/// Shortest time of a batch, as on a shared volume with a slow `fsync`.
///
/// The log then takes 320 records per second: enough for four times the usual traffic and not for ten.
pub(crate) const LOG_BATCH_TIME: Duration = Duration::from_millis(100);

/// Share of all traffic that comes from one greedy publisher.
pub(crate) const GREEDY_SHARE: f64 = 0.15;
/// Number of other publishers, with equal shares of the rest.
pub(crate) const PUBLISHERS: u32 = 2_000;
/// A publisher's quota as a share of the capacity.
///
/// Two thirds of the greedy publisher's traffic at 1x, and far more than that of any other at 10x.
pub(crate) const PUBLISHER_QUOTA: f64 = 0.10;

/// Open files of a server, its clients and bidders in the largest phase, with a margin.
pub(crate) const OPEN_FILES: u64 = 16_384;

/// Returns the store's capacity by its settings, in requests per second.
pub(crate) fn nominal_capacity() -> f64 {
    STORE_WORKERS as f64 / STORE_SERVICE.as_secs_f64()
}
