//! One rate limit for a fleet of replicas, kept in Redis.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod builder;
mod counts;
mod digest;
mod engine;
mod error;
mod everybody;
mod handle;
mod job;
mod layer;
mod lease;
mod leased;
mod limit;
mod link;
mod local;
mod permit;
mod quotas;
mod redis_clock;
mod script;
mod server;
mod settings;
mod up;
mod wait;

pub use self::{
    builder::RedisRateLimitBuilder,
    error::{InvalidRedisRateLimit, InvalidServer},
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
