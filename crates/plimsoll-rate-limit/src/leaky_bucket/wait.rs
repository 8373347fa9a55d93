//! A place in the queue, with the time at which its turn comes.

use pin_project_lite::pin_project;
use plimsoll_core::Ticket;
use tokio::time::Sleep;

pin_project! {
    /// A place in the queue of a [`LeakyBucket`](crate::LeakyBucket).
    ///
    /// The gate polls it, or gives it up. Its timer is made when it is first polled.
    #[derive(Debug)]
    pub struct LeakyBucketWait {
        // Taken when the wait is over, so that nothing is given back twice.
        pub(super) ticket: Option<Ticket>,
        // When its turn comes at the latest, if the rate stays. Nanoseconds, as the next one.
        pub(super) turn: u64,
        pub(super) deadline: Option<u64>,
        #[pin]
        pub(super) timer: Option<Sleep>,
    }
}
