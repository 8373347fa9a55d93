//! Futures of tasks that wait on a demand.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use plimsoll_core::policy::Ticket;

use super::{error::DemandCancelled, shared::Shared};

/// The future of [`Demand::acquire`](crate::Demand::acquire).
#[must_use = "a future does nothing until it is polled"]
pub struct AcquireCredit<'a> {
    shared: &'a Shared,
    place: Option<Ticket>,
}

/// The future of [`Demand::cancelled`](crate::Demand::cancelled).
#[must_use = "a future does nothing until it is polled"]
pub struct WaitCancelled<'a> {
    shared: &'a Shared,
    place: Option<Ticket>,
}

impl<'a> AcquireCredit<'a> {
    pub(super) const fn new(shared: &'a Shared) -> Self {
        let place = None;
        Self { shared, place }
    }
}

impl<'a> WaitCancelled<'a> {
    pub(super) const fn new(shared: &'a Shared) -> Self {
        let place = None;
        Self { shared, place }
    }
}

impl Future for AcquireCredit<'_> {
    type Output = Result<(), DemandCancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.shared.poll_take(&mut this.place, cx)
    }
}

impl Future for WaitCancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.poll_cancelled(&mut this.place, cx)
    }
}

impl Drop for AcquireCredit<'_> {
    fn drop(&mut self) {
        self.shared.leave(&mut self.place);
    }
}

impl Drop for WaitCancelled<'_> {
    fn drop(&mut self) {
        self.shared.unwatch(&mut self.place);
    }
}

impl fmt::Debug for AcquireCredit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.place.is_some();
        f.debug_struct("AcquireCredit")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WaitCancelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitCancelled").finish_non_exhaustive()
    }
}
