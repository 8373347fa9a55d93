//! Compiler hints for `.layer(policy)`.

use plimsoll_core::not_a_layer;

use crate::Sampling;

not_a_layer!([L, D, M] Sampling<L, D, M>);
