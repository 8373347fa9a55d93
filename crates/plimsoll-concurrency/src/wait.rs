//! A place in the queue, with the time at which it ends.

use pin_project_lite::pin_project;
use plimsoll_core::{Deadline, Ticket};
use tokio::time::{Instant, Sleep};

pin_project! {
    /// A place in the queue of a [`Concurrency`](crate::Concurrency).
    ///
    /// The gate polls it, or gives it up. Its timer is made when it first has to wait.
    #[derive(Debug)]
    pub struct ConcurrencyWait {
        // Taken when the wait is over, so that nothing is given back twice.
        pub(crate) ticket: Option<Ticket>,
        // When it has waited long enough.
        pub(crate) until: Instant,
        pub(crate) deadline: Option<Deadline>,
        #[pin]
        pub(crate) timer: Option<Sleep>,
    }
}

impl ConcurrencyWait {
    pub(crate) fn new(ticket: Ticket, until: Instant, deadline: Option<Deadline>) -> Self {
        Self {
            ticket: Some(ticket),
            until,
            deadline,
            timer: None,
        }
    }
}
