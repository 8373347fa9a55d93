//! What a call cost, as known at its end.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// The cost of a call, reported by the handler, in any unit that the limits in front count.
///
/// Examples are tokens generated and rows read. The handler puts one into the extensions of its
/// response, and may add to a clone of it until the last frame of the body. Policies read the sum
/// when the call ends ([`Outcome::cost`](crate::Outcome::cost)). Clones share the sum.
///
/// ```
/// use plimsoll_core::Cost;
///
/// let cost = Cost::new(12); // the prompt
/// let mut response = http::Response::new("a stream of tokens");
/// response.extensions_mut().insert(cost.clone());
/// // ... and for each token sent:
/// cost.add(1);
/// assert_eq!(cost.get(), 13);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cost(Arc<AtomicU64>);

impl Cost {
    /// A cost that starts at `units`.
    pub fn new(units: u64) -> Self {
        Self(Arc::new(AtomicU64::new(units)))
    }

    /// Adds units.
    pub fn add(&self, units: u64) {
        self.0.fetch_add(units, Relaxed);
    }

    /// Returns the units so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What a call spent, reported by a protocol at the end of the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Bytes of the response's body that were handed out.
    pub bytes: u64,
    /// What the handler reported through [`Cost`].
    pub cost: u64,
}
