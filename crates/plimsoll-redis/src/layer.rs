//! The layers: a gate with a shared limit.

use plimsoll_core::{GateLayer, Http};
use plimsoll_rate_limit::One;

use crate::{Everybody, LeasedRateLimit, RedisRateLimit};

/// Puts one [`RedisRateLimit`] in front of services.
pub type RedisRateLimitLayer<K = Everybody, C = One, T = Http> = GateLayer<RedisRateLimit<K, C>, T>;

/// Puts one [`LeasedRateLimit`] in front of services.
pub type LeasedRateLimitLayer<K = Everybody, C = One, T = Http> =
    GateLayer<LeasedRateLimit<K, C>, T>;
