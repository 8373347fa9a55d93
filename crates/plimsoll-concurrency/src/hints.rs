//! Compiler hints for `.layer(policy)`.

use plimsoll_core::not_a_layer;

use crate::{Concurrency, FairShare, Partitions};

not_a_layer!([D, R] Concurrency<D, R>);
not_a_layer!([R] FairShare<R>);
not_a_layer!([K, F] Partitions<K, F>);
