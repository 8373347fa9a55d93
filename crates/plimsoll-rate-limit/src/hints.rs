//! Compiler hints for `.layer(policy)`.

use plimsoll_core::not_a_layer;

use crate::{KeyedRateLimit, LeakyBucket, RateLimit, SlidingLog};

not_a_layer!([K, const N: usize, C] KeyedRateLimit<K, N, C>);
not_a_layer!([C, D] LeakyBucket<C, D>);
not_a_layer!([const N: usize, C] RateLimit<N, C>);
not_a_layer!([C] SlidingLog<C>);
