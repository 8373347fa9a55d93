//! One rate limit for a fleet of replicas, kept in Redis.
//!
//! The facade [`plimsoll`](https://docs.rs/plimsoll) has these items in `plimsoll::redis`.
//!
//! Behind ten replicas a caller gets ten times the quota of a local limit. These policies keep the
//! counts in Redis, shared by all replicas: token buckets, sliding and fixed windows, several
//! quotas at once, and costs.
//!
//! # Example: one layer
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use plimsoll_core::{HeaderKey, Missing};
//! use plimsoll_rate_limit::Quota;
//! use plimsoll_redis::{RedisRateLimit, RedisServer};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let server = RedisServer::new("redis://limiter:password@redis.internal")?;
//!     // Redis makes every decision: exact.
//!     let limit = RedisRateLimit::builder(server)
//!         .quota(Quota::per_second(10).burst(20).named("burst"))
//!         .quota(Quota::per_day(10_000).fixed_window().named("daily"))
//!         .per_key(HeaderKey::from_static("x-api-key"), Missing::Share, 100_000)
//!         .replicas(3) // each decides on a third while Redis is down
//!         .connect()?;
//!     let app = Router::<()>::new()
//!         .route("/", get(|| async { "hello" }))
//!         .layer(limit.into_layer());
//!     Ok(())
//! }
//! ```
//!
//! # Example: leases, in one gate with a local limit
//!
//! With a lease, tokens are taken in batches, so most decisions need no round trip. A tuple of
//! policies is one policy. It is faster than one layer per policy: the gate reads the clock once
//! and wraps the response body once.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use plimsoll_core::GateLayer;
//! use plimsoll_rate_limit::{Quota, RateLimit};
//! use plimsoll_redis::{LeaseSettings, RedisRateLimit, RedisServer};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let replica = RateLimit::new(Quota::per_second(2_000))?;
//!     let server = RedisServer::new("redis://limiter:password@redis.internal")?;
//!     let fleet = RedisRateLimit::builder(server)
//!         .quota(Quota::per_second(5_000))
//!         .lease(LeaseSettings::new(100))?;
//!     let app = Router::<()>::new()
//!         .route("/", get(|| async { "hello" }))
//!         .layer(GateLayer::new((replica, fleet)));
//!     Ok(())
//! }
//! ```
//!
//! # How it decides
//!
//! A decision is one script, loaded once and called by its hash. It reads the time of Redis, checks
//! all quotas, and writes to all of them or to none. The clocks of replicas are not used. Waits are
//! exact to the microsecond. A cost that exceeds a quota is rejected without a round trip and
//! without a `Retry-After`.
//!
//! [Calendar windows](plimsoll_rate_limit::Quota::per_calendar_day) end on the hour, at midnight or
//! on Monday by the wall clock of the Redis server, with the offset of the quota.
//!
//! # Rejections by other policies
//!
//! Tokens are refunded when the request is cancelled while it waits for Redis, or rejected by a
//! later policy. A bucket is then as if they had never been taken, in any order of other requests
//! and refunds. For this a key holds, beside the missing tokens, at least 16 of their earlier
//! minima (512 characters). When there is no room for more, the closest in time are merged; what
//! the requests between them are refunded in excess is at most what is refilled in that time.
//! Windows subtract the tokens from the window in which they were taken, while it counts.
//!
//! # When a quota changes
//!
//! Replicas whose quotas have the same [name](plimsoll_rate_limit::Quota::named) share a counter,
//! even if their settings differ (during a deployment). A key holds the algorithm and the increment
//! or period under which it was written. A replica with other settings converts the key when it
//! first reads it, and writes it:
//!
//! | change | what was spent |
//! |---|---|
//! | rate of a bucket | the same number of tokens, refilled at the new rate from then on |
//! | burst of a bucket, count of a window | the same number; what exceeds a lower burst is a debt |
//! | period of a window | what counts then counts in the current new window |
//! | algorithm | the same number |
//! | batch of a lease, `replicas`, cost of a request | no effect in Redis |
//!
//! So changing a quota and changing it back frees no tokens. A debt lasts at most 732 days. The
//! name of an unnamed quota is derived from its settings: after a change it is a new, full counter.
//!
//! Keys of versions before this layout hold neither algorithm nor period. They are read as if
//! written under the current settings, and rewritten by the next admitted request. The reverse does
//! not hold: an earlier version cannot read a new key and takes it for a full quota. While both
//! versions run, give the new one another [prefix](RedisRateLimitBuilder::prefix): callers then
//! have at most twice the quota.
//!
//! # In Redis
//!
//! All keys of a decision carry the same hash tag (`prefix:{hash}:name`), so they are in one slot
//! of a Redis Cluster. All keys expire. The hash is 128 bits of SHA-256: API keys cannot be read
//! from Redis. Redis 5 or later is required (the scripts write after they have read the time); the
//! tests run on 7.0.
//!
//! Each connection has a task that takes questions from a bounded queue and sends all that have
//! arrived as one pipeline; in a cluster it sends each command on its own. A request waits for its
//! answer in the gate, without a task of its own.
//!
//! # One server, Sentinel, or a cluster
//!
//! | topology | constructor | after a failover |
//! |---|---|---|
//! | one server, or an address that moves to the new master | [`RedisServer::new`] | the connection to a read-only server is closed and the address is dialled again, at least twice per second: shared again 0.5 s after the address leads to the new master |
//! | master and replicas with Sentinel | `RedisServer::sentinel`, feature `sentinel` | the sentinels are queried for each connection: shared again 0.5 s after they name the new master |
//! | Redis Cluster | `RedisServer::cluster`, feature `cluster` | the client library finds the new master: shared again about 1 s after the cluster has elected it |
//! | one node of a cluster | not supported by [`RedisServer::new`] | [`Disconnected::ClusterNode`]: never connected, decided locally |
//!
//! Until then [`OnFailure`] decides, as for a Redis that is down. The
//! [breaker](RedisRateLimitBuilder::breaker) may add half a second.
//! [docs/redis.md](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/redis.md) has the
//! settings of Redis, measurements, and what a failover can lose.
//!
//! A connection is up when its server can write keys of this limit, which each connection checks
//! first. Answers such as `READONLY`, `MOVED`, `NOAUTH` or `LOADING` close it
//! ([`RedisHandle::disconnected`] gives the reason), and the next attempt is made after 20 ms to
//! 500 ms.
//!
//! # When Redis is slow, down, or answers nonsense
//!
//! No request waits longer than the [deadline](RedisRateLimitBuilder::deadline). [`OnFailure`]
//! decides after the deadline, when there is no connection, when the queue is full, and when the
//! answer is an error or invalid: a local limit with this replica's
//! [share](RedisRateLimitBuilder::replicas) of the quota, admit all, or reject all. The
//! [`RedisHandle`] counts each case.
//!
//! A [`CircuitBreaker`](plimsoll_circuit_breaker::CircuitBreaker) observes the answers. Once half
//! of the last twenty have failed, requests are decided at once, and one request per half second
//! probes Redis. A stalled connection is closed and replaced in the background. Without a
//! connection, no request waits for Redis.
//!
//! When Redis is back, the limit is exact again. Each question carries an expiry by the clock of
//! Redis, estimated from its last answers; so questions that were stuck in a socket during an
//! outage spend nothing when they are read later. Tokens granted to a cancelled request are
//! refunded. A Redis that restarts without its data has lost what was spent.
//!
//! # What a failover can lose
//!
//! Redis replicates after it has answered. A master that fails loses what it granted and had not
//! yet sent to its replica, typically a millisecond of traffic. Those tokens are granted again. Per
//! key, the total in a window is then at most
//!
//! ```text
//! quota + what was granted within the replication lag   (exact)
//! quota + replicas × (batch + low_water) + the same     (leased)
//! ```
//!
//! A planned failover that pauses clients (`CLUSTER FAILOVER`, or `FAILOVER` since Redis 6.2) loses
//! nothing. In a cluster, a command is sent again after its connection breaks, and may count twice.
//! [`OnFailure::Local`] adds what the local limits admit meanwhile: at most one quota over all
//! replicas for each outage, when [`replicas`](RedisRateLimitBuilder::replicas) is right. A master
//! that is cut off from its replicas but not from its clients continues to grant until Redis stops
//! it; `min-replicas-to-write 1` bounds that to `min-replicas-max-lag`.
//!
//! # Exact or leased
//!
//! | | [`RedisRateLimit`] | [`LeasedRateLimit`] |
//! |---|---|---|
//! | admits | the quota | in any period at most `replicas × (batch + low_water)` more |
//! | cost per request | a round trip | usually a compare-and-swap |
//! | load on Redis | a script per request | a script per batch; one per token for a key over its quota; none while the key is rejected |
//!
//! # Speed
//!
//! `cargo run --release -p plimsoll-redis --example throughput` measures it on your machine:
//! decisions per second and p99 compared with a bare loop of EVALSHA on as many connections, and
//! leased decisions compared with local ones. On two cores shared by Redis, the callers and other
//! work: 0.93 to 1.0 of the rate of the bare loop, with a p99 up to a fifth higher; a leased
//! decision takes 1.35 times as long as a local one.
//!
//! # Why redis-rs
//!
//! `redis` (redis-rs) and `fred` are the two maintained clients. For one server, this crate needs
//! only connecting, authentication, TLS and the protocol from a client. Pipelines, deadlines,
//! reconnecting and bounded queues are implemented here, since they are what this crate guarantees.
//! redis-rs offers exactly that layer (a multiplexed connection that takes a pipeline as one
//! message). fred has its own router, reconnection policy and command queue, which would have to be
//! disabled, and more dependencies. Sentinels and the slots of a cluster are handled by redis-rs.
//! Version 1.8 is the newest stable one.
//!
//! # When not to use it
//!
//! To protect one server from overload: use a concurrency limit or load shedding, which measure
//! that server. For one replica: a local limit is exact and needs no round trip.
//!
//! # Errors
//!
//! [`InvalidRedisRateLimit`] and [`InvalidServer`], at construction. An unreachable Redis is not an
//! error at construction: see above. The policies never panic.
//!
//! # Features
//!
//! All are off by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `cluster` | `RedisServer::cluster` |
//! | `sentinel` | `RedisServer::sentinel` |
//! | `tls` | `rediss://` URLs, by rustls with ring |
//!
//! With `tls`: if the process has not installed a crypto provider for rustls, creating a
//! [`RedisServer`] installs ring's.
//!
//! # Recipes
//!
//! A program to copy: [one limit for two
//! replicas](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/examples/redis_fleet.rs).
//! [All recipes](https://github.com/plimsoll-rs/plimsoll/blob/main/examples/recipes/README.md).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod all_requests;
mod answer;
mod bounds;
mod builder;
mod certificates;
#[cfg(feature = "cluster")]
mod cluster;
mod connection;
mod counts;
mod digest;
mod disconnected;
mod engine;
mod error;
mod failed;
mod figures;
mod handle;
mod hints;
mod job;
mod layer;
mod lease;
mod lease_cell;
mod lease_question;
mod leased;
mod limit;
mod link;
mod link_settings;
mod local;
mod permit;
mod quotas;
mod reader;
mod redis_clock;
mod script;
#[cfg(feature = "sentinel")]
mod sentinel;
mod server;
mod settings;
mod target;
mod task;
mod up;
mod wait;

pub use self::{
    all_requests::AllRequests,
    bounds::MAX_QUOTAS,
    builder::RedisRateLimitBuilder,
    disconnected::Disconnected,
    error::{InvalidRedisRateLimit, InvalidServer, NoAnswer},
    handle::RedisHandle,
    layer::{LeasedRateLimitLayer, RedisRateLimitLayer},
    lease_cell::{LeaseCell, LeasePermit},
    leased::LeasedRateLimit,
    limit::RedisRateLimit,
    permit::RedisPermit,
    server::RedisServer,
    settings::{LeaseSettings, OnFailure},
    wait::RedisWait,
};

/// The name of both policies in their rejections.
const NAME: &str = "redis-rate-limit";
