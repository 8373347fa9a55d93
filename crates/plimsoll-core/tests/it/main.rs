//! Behaviour of the gate, the protocols and the combinators, through the public API.

mod advice;
mod body;
mod deadline;
mod keyed;
mod keys;
mod laws;
mod policies;
mod priority;
mod release;
mod sample;
mod sockets;
mod spending;
mod wire;
