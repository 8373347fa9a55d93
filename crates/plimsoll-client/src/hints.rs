//! Compiler hints for `.layer(policy)`.

use plimsoll_core::not_a_layer;

use crate::{AdaptiveThrottle, Downstream};

not_a_layer!([R] AdaptiveThrottle<R>);
not_a_layer!(Downstream);
