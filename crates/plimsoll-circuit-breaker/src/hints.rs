//! Compiler hints for `.layer(policy)`.

use plimsoll_core::not_a_layer;

use crate::CircuitBreaker;

not_a_layer!(CircuitBreaker);
