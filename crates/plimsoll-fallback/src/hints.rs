//! Compiler hint for `.layer(protocol)`.

use plimsoll_core::not_a_layer;

use crate::Fallback;

not_a_layer!(protocol [A, C] Fallback<A, C>);
