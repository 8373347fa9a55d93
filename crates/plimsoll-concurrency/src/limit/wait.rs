//! A place in the queue, with the time at which it ends.

use std::time::Duration;

use pin_project_lite::pin_project;
use plimsoll_core::{Deadline, Ticket};
use tokio::time::{Instant, Sleep};

pin_project! {
    /// A place in the queue of a [`ConcurrencyLimit`](crate::ConcurrencyLimit).
    ///
    /// The gate polls it, or gives it up. Its timer is made when it first has to wait.
    #[derive(Debug)]
    pub struct ConcurrencyLimitWait {
        // Taken when the wait is over, so that nothing is given back twice.
        pub(crate) ticket: Option<Ticket>,
        pub(crate) end: WaitEnd,
        pub(crate) deadline: Option<Deadline>,
        #[pin]
        pub(crate) timer: Option<Sleep>,
    }
}

/// When a request has waited long enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitEnd {
    pub(crate) at: Instant,
    /// That is because its deadline could not be met any more, and not because of the longest wait.
    pub(crate) is_late: bool,
}

impl WaitEnd {
    /// The moment `longest`, or when a service that takes `service_time` has to begin to meet the deadline.
    pub(crate) fn new(
        longest: Instant,
        deadline: Option<Deadline>,
        service_time: Duration,
    ) -> Self {
        let late = deadline.map(|Deadline(at)| at.checked_sub(service_time).unwrap_or(at));
        Self {
            at: late.map_or(longest, |late| late.min(longest)),
            is_late: late.is_some_and(|late| late <= longest),
        }
    }
}

impl ConcurrencyLimitWait {
    pub(crate) fn new(ticket: Ticket, end: WaitEnd, deadline: Option<Deadline>) -> Self {
        Self {
            ticket: Some(ticket),
            end,
            deadline,
            timer: None,
        }
    }
}
