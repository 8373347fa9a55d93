//! A place in the queue, and when the wait ends.

use std::time::Duration;

use pin_project_lite::pin_project;
use plimsoll_core::{Deadline, policy::Ticket};
use tokio::time::{Instant, Sleep};

pin_project! {
    /// A place in the queue of a [`ConcurrencyLimit`](crate::ConcurrencyLimit).
    ///
    /// The gate polls it, or abandons it. Its timer is created when it is first polled without an
    /// answer.
    #[derive(Debug)]
    pub struct ConcurrencyLimitWait {
        // Taken when the wait has ended, so that the place is released only once.
        pub(crate) ticket: Option<Ticket>,
        pub(crate) end: WaitEnd,
        pub(crate) deadline: Option<Deadline>,
        #[pin]
        pub(crate) timer: Option<Sleep>,
    }
}

/// When the wait of a request ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitEnd {
    pub(crate) at: Instant,
    /// Whether it ends because the deadline can no longer be met, rather than at the longest
    /// wait.
    pub(crate) is_late: bool,
}

impl WaitEnd {
    /// The earlier of `longest` and the latest start with which the deadline can be met.
    ///
    /// The service takes `service_time`.
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
