//! Behaviour of the concurrency limit through its public API.
