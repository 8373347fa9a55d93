//! Compiler hints for `.layer(policy)`.

use plimsoll_core::not_a_layer;

use crate::{AdaptiveShed, LoadShed, QueueDelay};

not_a_layer!([L, R] AdaptiveShed<L, R>);
not_a_layer!([L, R] LoadShed<L, R>);
not_a_layer!(clone [] QueueDelay);
