//! Behaviour of the client through its public API.

mod budget;
