//! The numbers of the experiment in one place, each with its reason.
//!
//! Only the surroundings are made up: what the store and the bidders cost. The limits of the app follow from them.

use std::time::Duration;

/// Requests the store works on at a time, like the connections of a database's pool.
pub(crate) const STORE_WORKERS: usize = 10;
/// What one request costs the store, give or take [`STORE_JITTER`]. With ten workers that makes a little over 300
/// requests a second: few enough that ten times as many are no work for two cores, so that it is the store that is
/// overloaded and never the machine.
pub(crate) const STORE_SERVICE: Duration = Duration::from_millis(30);
/// Service times vary evenly by this share.
pub(crate) const STORE_JITTER: f64 = 0.2;

/// What a healthy bidder takes to bid.
pub(crate) const BID_SERVICE: Duration = Duration::from_millis(8);
/// What a slow one takes: far beyond what an auction can wait.
pub(crate) const SLOW_BID: Duration = Duration::from_millis(600);
/// How long an auction waits for a bid (the `tmax` of `OpenRTB`), bare or not.
pub(crate) const BID_TIMEOUT: Duration = Duration::from_millis(150);
/// The bidders, by name.
pub(crate) const BIDDERS: [&str; 3] = ["ada", "bob", "cyd"];

/// When a client gives up, counted from the moment it meant to send.
pub(crate) const CLIENT_DEADLINE: Duration = Duration::from_millis(250);
/// Sockets the generator opens at most. At ten times the capacity some 4,000 requests a second, each given up after a
/// quarter of a second, are 1,000 in flight.
pub(crate) const CLIENT_SOCKETS: usize = 3_000;
/// A generator that sends later than this was not an open loop, and its phase counts for nothing.
pub(crate) const LAG_BOUND: Duration = Duration::from_millis(50);

/// Impressions for each auction.
pub(crate) const IMPRESSIONS_PER_AUCTION: f64 = 0.25;
/// The size of one impression with its auction's context, as it is logged.
pub(crate) const IMPRESSION_BYTES: usize = 4 * 1024;
/// Records in one write, followed by one `fsync`.
pub(crate) const LOG_BATCH: usize = 32;
/// What a batch takes at least: a shared volume, whose `fsync` is slow. So the log takes 320 records a second, enough
/// for four times the usual traffic and not for ten.
pub(crate) const LOG_BATCH_TIME: Duration = Duration::from_millis(100);

/// The share of all traffic that comes from one greedy publisher.
pub(crate) const GREEDY_SHARE: f64 = 0.15;
/// The number of other publishers, which share the rest evenly.
pub(crate) const PUBLISHERS: u32 = 2_000;
/// A publisher's quota as a share of the capacity: two thirds of what the greedy one wants in quiet times, and far
/// more than any other needs at ten times that.
pub(crate) const PUBLISHER_QUOTA: f64 = 0.10;

/// Open files for a server, its clients and bidders in the worst phase, with room.
pub(crate) const OPEN_FILES: u64 = 16_384;

/// What the store can do on paper, in requests a second.
pub(crate) fn nominal_capacity() -> f64 {
    STORE_WORKERS as f64 / STORE_SERVICE.as_secs_f64()
}
