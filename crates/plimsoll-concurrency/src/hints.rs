//! Compiler hints for `.layer(policy)`.

use plimsoll_core::not_a_layer;

use crate::{ConcurrencyLimit, FairShare, Partitions};

not_a_layer!([D, R] ConcurrencyLimit<D, R>);
not_a_layer!([R] FairShare<R>);
not_a_layer!([K, F] Partitions<K, F>);
