//! A place in the queue, with the time of its departure.

use pin_project_lite::pin_project;
use plimsoll_core::policy::Ticket;
use tokio::time::Sleep;

pin_project! {
    /// A place in the queue of a [`LeakyBucket`](crate::LeakyBucket).
    ///
    /// The gate polls it or abandons it. Its timer is created at the first poll.
    #[derive(Debug)]
    pub struct LeakyBucketWait {
        // Taken when the wait ends, so that no departure is revoked twice.
        pub(super) ticket: Option<Ticket>,
        // The latest departure at the rate on arrival. Nanoseconds since the epoch, like
        // `deadline`.
        pub(super) turn: u64,
        pub(super) deadline: Option<u64>,
        #[pin]
        pub(super) timer: Option<Sleep>,
    }
}
