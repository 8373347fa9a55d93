//! Gates that admit exactly one request.

use plimsoll::{
    GateLayer, Plain,
    rate_limit::{Quota, RateLimit},
};

/// A limit that admits one request per hour.
///
/// # Panics
///
/// Never: the quota is valid.
pub fn one() -> RateLimit {
    RateLimit::new(Quota::per_hour(1).burst(1)).expect("a valid quota")
}

/// A gate that admits one HTTP request and rejects the next with 429.
pub fn gate() -> GateLayer<RateLimit> {
    GateLayer::new(one())
}

/// A gate that admits one request of any kind and rejects the next with an error.
pub fn plain_gate() -> GateLayer<RateLimit, Plain> {
    GateLayer::builder(one()).protocol(Plain::new()).build()
}
