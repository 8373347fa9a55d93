//! Compiler hints for `.layer(policy)`.

use plimsoll_core::not_a_layer;

use crate::{LeasedRateLimit, RedisRateLimit};

not_a_layer!([K, C] LeasedRateLimit<K, C>);
not_a_layer!([K, C] RedisRateLimit<K, C>);
