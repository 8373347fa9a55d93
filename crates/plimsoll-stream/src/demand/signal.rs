//! `Demand`: what a consumer asks of a producer.

use std::{fmt, sync::Arc};

use super::{
    acquire::{AcquireCredit, WaitCancelled},
    error::{DemandCancelled, InvalidRequest},
    shared::{Shared, UNBOUNDED},
};

/// The number of items that a consumer has requested and not received yet.
///
/// The consumer calls [`request`](Self::request) and [`cancel`](Self::cancel), for example when a
/// credit message arrives; the producer awaits [`acquire`](Self::acquire) before each item, or
/// [gates](Self::gate) its stream. Clones share the demand. All methods may be called from any
/// task or thread, and take a short lock or none.
///
/// The rules are those of the Reactive Streams specification, version 1.0.3. A request for 0 items
/// is an error of the call and does not end the stream (3.9).
///
/// ```
/// use plimsoll_stream::Demand;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let demand = Demand::new();
/// let producer = demand.clone();
/// let sent = tokio::spawn(async move {
///     let mut sent = 0;
///     while producer.acquire().await.is_ok() {
///         sent += 1; // Sends an item.
///     }
///     sent
/// });
/// demand.request(2)?;
/// # while demand.outstanding() > 0 { tokio::task::yield_now().await; }
/// # tokio::task::yield_now().await;
/// demand.cancel();
/// assert_eq!(sent.await?, 2);
/// # Ok(()) }
/// ```
#[doc(alias("credit", "reactive streams", "backpressure", "request(n)"))]
#[derive(Clone)]
pub struct Demand {
    pub(super) shared: Arc<Shared>,
}

impl Demand {
    /// A demand that never runs out: a request for it removes the bound for good.
    pub const UNBOUNDED: u64 = UNBOUNDED;

    /// A demand for no item yet.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared::new()),
        }
    }

    /// Adds `n` items to the demand, at least 1.
    ///
    /// The sum saturates at [`UNBOUNDED`](Self::UNBOUNDED) (3.17). Producers that wait are woken,
    /// and none of them runs inside of this call (3.3). After a cancellation it does nothing (3.6).
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] for 0 items (3.9). Nothing changes.
    pub fn request(&self, n: u64) -> Result<(), InvalidRequest> {
        self.shared.request(n)
    }

    /// Ends the demand for good. Returns whether it was not cancelled before (3.5, 3.7).
    ///
    /// Producers that wait are woken with [`DemandCancelled`]. An item that a producer has credit
    /// for, and sends at the same moment, may still arrive (2.8).
    pub fn cancel(&self) -> bool {
        self.shared.cancel()
    }

    /// Returns whether the demand was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.shared.is_cancelled()
    }

    /// Returns the credit that no producer has taken: 0 after a cancellation.
    pub fn outstanding(&self) -> u64 {
        self.shared.credit()
    }

    /// Waits for the credit for one item, and takes it.
    ///
    /// Producers that wait get credit in the order of their arrival. A credit that is not used is
    /// added again by `request(1)`.
    ///
    /// # Errors
    ///
    /// [`DemandCancelled`] from the cancellation on.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses the place among the producers. A credit that was on its way to it
    /// goes to the next one.
    pub fn acquire(&self) -> AcquireCredit<'_> {
        AcquireCredit::new(&self.shared)
    }

    /// Takes the credit for one item, without waiting. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`DemandCancelled`] from the cancellation on.
    pub fn try_acquire(&self) -> Result<bool, DemandCancelled> {
        self.shared.try_take()
    }

    /// Waits for the cancellation. Dropping the future has no effect.
    pub fn cancelled(&self) -> WaitCancelled<'_> {
        WaitCancelled::new(&self.shared)
    }
}

impl Default for Demand {
    /// As [`new`](Self::new).
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
