//! One rate limit for a fleet of replicas, kept in Redis.
//!
//! Behind ten replicas a caller has ten times what a limit in each of them says. These policies keep the count in Redis,
//! where all replicas find it: token buckets, sliding and fixed windows, several at once, with costs.
//!
//! # Example
//!
//! ```no_run
//! use plimsoll_core::{GateLayer, HeaderKey, Missing};
//! use plimsoll_rate_limit::Quota;
//! use plimsoll_redis::{LeaseSettings, RedisRateLimit, RedisServer};
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = RedisServer::new("redis://limiter:password@redis.internal")?;
//!
//! // Every decision is Redis': exact.
//! let exact = RedisRateLimit::builder(server.clone())
//!     .quota(Quota::per_second(10).burst(20).named("burst"))
//!     .quota(Quota::per_day(10_000).fixed_window().named("daily"))
//!     .key(HeaderKey::from_static("x-api-key"), Missing::Share)
//!     .cost(|req: &http::Request<()>| if req.uri().path() == "/search" { 10 } else { 1 })
//!     .replicas(3)                             // while Redis is away, each has a third
//!     .connect()?;
//! let layer = GateLayer::new(exact);
//!
//! // Tokens are taken in batches: most decisions cost no round trip.
//! let leased = RedisRateLimit::builder(server)
//!     .quota(Quota::per_second(5_000))
//!     .lease(LeaseSettings::new(100))?;
//! let leased: GateLayer<_> = GateLayer::new(leased);
//! # let _: GateLayer<_> = layer;
//! # Ok(())
//! # }
//! ```
//!
//! # How it decides
//!
//! A decision is one script, loaded once and called by its hash: it reads the time of Redis, looks at all quotas, and writes to all of
//! them or to none. Nothing is counted by a replica's clock. Waits are exact to the microsecond; a cost that a quota can never hold is
//! refused for ever, without asking.
//!
//! [Calendar windows](plimsoll_rate_limit::Quota::per_calendar_day) end on the hour, at midnight or
//! on Monday by the wall clock of the Redis server, with the offset that the quota names. The
//! clocks of replicas do not matter.
//!
//! # A rejected request has spent nothing
//!
//! Tokens are released when the request is abandoned while it waits for Redis, or rejected by a
//! later policy. A bucket is then as if they had never been taken, whatever others took or released
//! meanwhile. For this a key holds, beside what is missing, up to some 16 earlier minima of it (512
//! characters). When there is no room for more, the closest in time are joined; what the requests
//! between them release in excess is at most what is refilled in that time. Windows subtract the
//! tokens from the window that they were taken in, as long as it counts.
//!
//! # When a quota changes
//!
//! Replicas whose quotas have the same [name](plimsoll_rate_limit::Quota::named) share a counter,
//! also while some have other settings than the rest (a deployment). A key holds the algorithm and
//! the increment or period that it was written under; a replica with others converts it at its
//! first look and writes it:
//!
//! | change | what was spent |
//! |---|---|
//! | rate of a bucket | the same number of tokens, which are refilled at the new rate from then on |
//! | burst of a bucket, count of a window | the same number; what exceeds a lower burst is a debt |
//! | period of a window | what counts then counts in the new window that is running |
//! | algorithm | the same number |
//! | batch of a lease, `replicas`, cost of a request | nothing in Redis depends on it |
//!
//! So changing a quota and changing it back forgives nothing; a debt is at most 732 days long. The
//! name of an unnamed quota is made of its settings: a changed one is a new counter, and whole.
//!
//! Keys of versions before this layout hold neither algorithm nor period. They are read as if
//! written under the present settings, and written anew by the next request that is admitted. The
//! reverse does not hold: an earlier version takes a new key for rubbish, so for a whole quota.
//! While both versions run, give the new one another [prefix](RedisRateLimitBuilder::prefix):
//! callers then have at most twice the quota.
//!
//! # In Redis
//!
//! All keys of a decision carry the same hash tag (`prefix:{hash}:name`), so they live in one slot
//! of a Redis Cluster, and all of them expire. The hash is 128 bits of SHA-256: API keys cannot be
//! read from Redis. Redis 5 or later is needed (the scripts write after they have read the time);
//! the tests run on 7.0.
//!
//! Each connection has a task that takes questions from a bounded queue and sends them as pipelines
//! of what has come meanwhile; in a cluster each command goes to its node alone. A request waits
//! for its answer in the gate, without a task of its own.
//!
//! # One server, Sentinel, or a cluster
//!
//! | topology | what to write | what happens at a failover |
//! |---|---|---|
//! | one server, or an address that moves to the new master | [`RedisServer::new`] | a server that cannot write is left, and the address is dialled again, at least twice a second: shared again 0.5 s after the address leads to the new master |
//! | master and replicas with Sentinel | `RedisServer::sentinel`, feature `sentinel` | the sentinels are asked for each connection: shared again 0.5 s after they name the new master |
//! | Redis Cluster | `RedisServer::cluster`, feature `cluster` | the client library finds the new master: shared again about 1 s after the cluster has elected it |
//! | one node of a cluster | nothing works: [`RedisServer::new`] is not for it | [`Disconnected::ClusterNode`]: never connected, decided locally |
//!
//! Until then [`OnFailure`] decides, as for a Redis that is down. The
//! [breaker](RedisRateLimitBuilder::breaker) may add half a second.
//! [docs/redis.md](https://github.com/plimsoll-rs/plimsoll/blob/main/docs/redis.md) has the
//! settings of Redis, the figures, and what a failover can lose.
//!
//! A connection is up when its server can write keys of this limit; each connection checks that
//! first. Answers such as `READONLY`, `MOVED`, `NOAUTH` or `LOADING` end it
//! ([`RedisHandle::disconnected`] says why), and the next attempt waits 20 ms to 500 ms.
//!
//! # When Redis is slow, down, or answers nonsense
//!
//! No request waits longer than the [deadline](RedisRateLimitBuilder::deadline). Then, and when
//! there is no connection, the queue is full, or the answer is an error or no answer of these
//! scripts, [`OnFailure`] decides: a local limit with this replica's
//! [share](RedisRateLimitBuilder::replicas) of the quota, admit all, or reject all. The
//! [`RedisHandle`] counts all of it.
//!
//! A [`CircuitBreaker`](plimsoll_circuit_breaker::CircuitBreaker) watches the answers: once half of
//! the last twenty failed, requests are decided at once, and one in half a second tries Redis. A
//! connection that stands still is given up and made anew in the background; without a connection,
//! no request tries Redis.
//!
//! When Redis is back, so is the exact limit. Questions say until when they are of use, by the
//! clock of Redis as its last answers showed it; so those that lay in a socket while Redis stood
//! still spend nothing when they are read at last. Tokens that were granted to an abandoned request
//! are released. A Redis that comes back empty has forgotten what was spent.
//!
//! # What a failover can lose
//!
//! Redis replicates after it has answered, so a master that dies takes with it what it granted and
//! had not yet sent to its replica, typically a millisecond of traffic. Those tokens are granted
//! again. Per key, the total in a window is then at most
//!
//! ```text
//! quota + what was granted within the replication lag   (exact)
//! quota + replicas × (batch + low_water) + the same     (leased)
//! ```
//!
//! A planned failover that pauses clients (`CLUSTER FAILOVER`, or `FAILOVER` since Redis 6.2) loses
//! nothing. In a cluster a command whose connection breaks is sent again, and may count twice.
//! [`OnFailure::Local`] adds what the local limits admit meanwhile: at most one quota over all
//! replicas for each outage, when [`replicas`](RedisRateLimitBuilder::replicas) is right. A master
//! that is cut off from its replicas but not from callers goes on granting until Redis stops it;
//! `min-replicas-to-write 1` bounds that to `min-replicas-max-lag`.
//!
//! # Exact or leased
//!
//! | | [`RedisRateLimit`] | [`LeasedRateLimit`] |
//! |---|---|---|
//! | admits | what the quota says | in any stretch of time at most `replicas × (batch + low_water)` more |
//! | costs a request | a round trip | a compare-and-swap, mostly |
//! | costs Redis | a script per request | a script per batch; one per token once a key is over its quota; none while it is refused |
//!
//! # Speed
//!
//! `cargo run --release -p plimsoll-redis --example throughput` measures it on your machine: decisions per second and p99
//! beside a bare loop of EVALSHA on as many connections, and leased beside local decisions. On two cores that Redis, the callers
//! and other work shared: 0.93 to 1.0 of the bare loop's rate, with a p99 up to a fifth higher; leased, 1.35 of the time of a local decision.
//!
//! # Why redis-rs
//!
//! `redis` (redis-rs) and `fred` are the two clients that are maintained. For one server only
//! connecting, authentication, TLS and the protocol are wanted: pipelines, deadlines, reconnecting
//! and the bounds on queues are this crate's own, since they are the promise. redis-rs offers just
//! that layer (a multiplexed connection that takes a pipeline as one message) where fred brings a
//! router, a reconnection policy and a command queue of its own that would have to be switched off,
//! and a longer tree of dependencies. Sentinels and the slots of a cluster are left to redis-rs.
//! Version 1.8 is the newest stable one.
//!
//! # When not to use it
//!
//! For protecting one server from its load: that is local knowledge, see concurrency limits and load shedding. For one replica: a
//! local limit is exact, and costs no round trip.
//!
//! # Errors
//!
//! [`InvalidRedisRateLimit`] and [`InvalidServer`], at construction. A Redis that cannot be reached is none: see above. Nothing here
//! panics.
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
//! With `tls`: when the process has chosen no provider of cryptography for rustls, making a
//! [`RedisServer`] installs ring's.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

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
mod everybody;
mod handle;
mod hints;
mod job;
mod layer;
mod lease;
mod leased;
mod limit;
mod link;
mod link_settings;
mod local;
mod permit;
mod quotas;
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
    builder::RedisRateLimitBuilder,
    disconnected::Disconnected,
    error::{InvalidRedisRateLimit, InvalidServer, NoAnswer},
    everybody::Everybody,
    handle::RedisHandle,
    layer::{LeasedRateLimitLayer, RedisRateLimitLayer},
    leased::{LeaseCell, LeasePermit, LeasedRateLimit},
    limit::RedisRateLimit,
    permit::RedisPermit,
    quotas::MAX_QUOTAS,
    server::RedisServer,
    settings::{LeaseSettings, OnFailure},
    wait::RedisWait,
};

/// The name under which both policies refuse.
const NAME: &str = "redis-rate-limit";
