//! The layers: a gate with a shared limit.

use plimsoll_core::{GateLayer, Http};
use plimsoll_rate_limit::One;

use crate::{AllRequests, LeasedRateLimit, RedisRateLimit};

/// Puts one [`RedisRateLimit`] in front of services.
pub type RedisRateLimitLayer<K = AllRequests, C = One, T = Http> =
    GateLayer<RedisRateLimit<K, C>, T>;

/// Puts one [`LeasedRateLimit`] in front of services.
pub type LeasedRateLimitLayer<K = AllRequests, C = One, T = Http> =
    GateLayer<LeasedRateLimit<K, C>, T>;
