//! The buckets that an item goes through.

use std::{fmt, sync::Arc};

use plimsoll_core::{
    Instant, Policy, Rejection,
    policy::{Counter, Verdict},
};
use plimsoll_rate_limit::RateLimitHandle;

use super::bucket::{Ask, BUCKETS, Bucket, Stop};

/// Token buckets that delay the items of streams: by events, by bytes, or by both.
///
/// Clones share the buckets. Give each subscriber a throttle of its own, and put all of them
/// [within](crate::ThrottleBuilder::within) one that caps the sum:
///
/// ```
/// use futures_util::{StreamExt, stream};
/// use plimsoll_stream::{Quota, Throttle};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // All subscribers together: 64 MiB per second.
/// let all = Throttle::builder().bytes(Quota::per_second(64 << 20)).build()?;
/// // Each of them: 100 events per second and 20 at once, and 1 MiB per second.
/// let one = Throttle::builder()
///     .events(Quota::per_second(100).burst(20))
///     .bytes(Quota::per_second(1 << 20))
///     .within(&all)
///     .build()?;
/// let mut events = std::pin::pin!(one.stream(stream::repeat("an event")));
///
/// let start = tokio::time::Instant::now();
/// for _ in 0..120 {
///     events.next().await;
/// }
/// assert_eq!(start.elapsed().as_secs(), 1);
/// assert_eq!((one.passed(), one.delayed()), (120, 100));
/// # Ok(()) }
/// ```
///
/// # How it decides
///
/// The buckets are those of `plimsoll-rate-limit` (token buckets, kept as the generic cell rate
/// algorithm); any [`Quota`](plimsoll_rate_limit::Quota) fits. An item takes one token of events
/// and one token of bytes for each byte of its weight, from all buckets together or from none: while
/// it waits for one bucket, it has spent nothing in the others.
///
/// The wait is the time that the bucket states, rounded up to the 1 ms of tokio's timer. So that the
/// rounding costs no throughput, a burst should last for a few milliseconds of the rate.
///
/// # Items that are heavier than the burst
///
/// An item that weighs more than the burst waits for a full bucket, takes all of it, and passes. The
/// rest of its weight is taken before the next item of the same stream passes, burst by burst. So
/// each item passes at some time, and the rate holds on average. A stream that is dropped owes nothing.
///
/// # Streams that share a bucket
///
/// They pass in the order in which they began to wait, and each is woken once for its turn. A
/// stream that is not polled loses its turn, and delays the others by no more than that. When a
/// stream is dropped, those that wait behind it keep their times.
#[doc(alias("rate limit", "token bucket", "bandwidth", "pacing"))]
#[derive(Clone)]
pub struct Throttle(Arc<Shared>);

struct Shared {
    events: Option<Bucket>,
    bytes: Option<Bucket>,
    outer: Option<Throttle>,
    passed: Counter,
    delayed: Counter,
}

impl Throttle {
    /// The throttle of these buckets, within another one or not.
    pub(super) fn new(events: Option<Bucket>, bytes: Option<Bucket>, outer: Option<Self>) -> Self {
        Self(Arc::new(Shared {
            events,
            bytes,
            outer,
            passed: Counter::new(),
            delayed: Counter::new(),
        }))
    }

    /// Returns the handle of the quota of events, which changes it, if there is one.
    ///
    /// Items that wait already keep the time of their next attempt.
    pub fn events(&self) -> Option<RateLimitHandle> {
        self.0.events.as_ref().map(|bucket| bucket.handle.clone())
    }

    /// Returns the handle of the quota of bytes, which changes it, if there is one.
    ///
    /// Items that wait already keep the time of their next attempt.
    pub fn bytes(&self) -> Option<RateLimitHandle> {
        self.0.bytes.as_ref().map(|bucket| bucket.handle.clone())
    }

    /// Returns how many items have passed, without those of throttles within this one.
    pub fn passed(&self) -> u64 {
        self.0.passed.get()
    }

    /// Returns how many of the items that have passed had to wait.
    pub fn delayed(&self) -> u64 {
        self.0.delayed.get()
    }

    /// Counts an item that has passed.
    pub(super) fn count(&self, delayed: bool) {
        self.0.passed.add();
        if delayed {
            self.0.delayed.add();
        }
    }

    /// Whether it is within another one.
    pub(super) fn is_inner(&self) -> bool {
        self.0.outer.is_some()
    }

    /// The buckets of an item, in the order in which they are asked: the inner ones first.
    pub(super) fn buckets(&self) -> [Option<&Bucket>; BUCKETS] {
        let (events, bytes) = (self.0.events.as_ref(), self.0.bytes.as_ref());
        match &self.0.outer {
            None => [None, None, events, bytes],
            Some(outer) => [
                events,
                bytes,
                outer.0.events.as_ref(),
                outer.0.bytes.as_ref(),
            ],
        }
    }

    /// Takes from all buckets, or from none and returns the rejection.
    pub(super) fn take(&self, ask: &mut Ask, now: Instant) -> Option<Rejection> {
        let [events, bytes, all_events, all_bytes] = self
            .buckets()
            .map(|bucket| bucket.map(|bucket| &bucket.limit));
        rejected(&(events, bytes, all_events, all_bytes).admit(ask, now))
    }

    /// Takes nothing, and returns the rejection by the inner buckets if they would not admit.
    pub(super) fn peek_inner(&self, ask: &mut Ask, now: Instant) -> Option<Rejection> {
        let [events, bytes, ..] = self
            .buckets()
            .map(|bucket| bucket.map(|bucket| &bucket.limit));
        rejected(&(events, bytes, Stop).admit(ask, now)).filter(|_| ask.asked() < BUCKETS)
    }
}

/// A permit of a rate limit without refunds and charges holds nothing that could be released.
fn rejected<P, W>(verdict: &Verdict<P, W>) -> Option<Rejection> {
    match verdict {
        Verdict::Reject(rejection) => Some(*rejection),
        // Rate limits never queue.
        Verdict::Admit(_) | Verdict::Wait(_) => None,
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("events", &self.0.events.as_ref().map(Bucket::quota))
            .field("bytes", &self.0.bytes.as_ref().map(Bucket::quota))
            .field("within", &self.0.outer)
            .field("passed", &self.passed())
            .finish_non_exhaustive()
    }
}
