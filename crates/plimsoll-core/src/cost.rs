//! What a call turned out to cost.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What a call costs, told by the handler: tokens generated, rows read, whatever the limits in front count in.
///
/// The handler leaves one in the extensions of its response, and may go on adding to a clone of it until the last frame of
/// the body. Policies read the sum when the call ends ([`Outcome::cost`](crate::Outcome::cost)). Clones share the sum.
///
/// ```
/// use plimsoll_core::Cost;
///
/// let cost = Cost::new(12); // the prompt
/// let mut response = http::Response::new("a stream of tokens");
/// response.extensions_mut().insert(cost.clone());
/// // ... and for each token that is sent:
/// cost.add(1);
/// assert_eq!(cost.get(), 13);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cost(Arc<AtomicU64>);

impl Cost {
    /// A cost of so many units to begin with.
    pub fn new(units: u64) -> Self {
        Self(Arc::new(AtomicU64::new(units)))
    }

    /// So many units more.
    pub fn add(&self, units: u64) {
        self.0.fetch_add(units, Relaxed);
    }

    /// Units so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What a call spent, as a protocol tells it when the call is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Bytes of data in the response's body that were handed out.
    pub bytes: u64,
    /// What the handler reported through [`Cost`].
    pub cost: u64,
}
