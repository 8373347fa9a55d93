//! Behaviour of the gate, the protocols and the combinators, through the public API.

mod advice;
mod body;
mod body_waits;
mod classify;
mod client_ip;
mod deadline;
mod exempt;
mod forwarding;
mod hints;
mod hops;
mod keyed;
mod keys;
mod laws;
mod missing;
mod own_body;
mod panics;
mod policies;
mod priority;
mod release;
mod sample;
mod several_lines;
mod shadow;
mod sockets;
mod spending;
mod trace_and_authority;
mod wire;
