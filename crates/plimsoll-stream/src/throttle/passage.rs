//! The way of one item through the buckets.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use plimsoll_core::{Instant, Rejection};
use tokio::time::{Sleep, sleep_until};

use super::{
    bucket::{Ask, BUCKETS, Bucket},
    limits::Throttle,
};
use crate::clock;

/// The first of the buckets of the throttle around the others.
const OUTER: usize = 2;

pin_project! {
    /// Waits until an item has taken its tokens.
    pub(crate) struct Passage {
        throttle: Throttle,
        // Whether the item has had its turn at a bucket that others wait for.
        turns: [bool; BUCKETS],
        // The turn that the timer stands for, and how much later it makes those behind it.
        queued: Option<(usize, Duration)>,
        delayed: bool,
        #[pin]
        timer: Option<Sleep>,
    }

    impl PinnedDrop for Passage {
        fn drop(this: Pin<&mut Self>) {
            this.leave();
        }
    }
}

/// The next attempt of an item that cannot pass now.
struct Delay {
    bucket: usize,
    until: Instant,
}

impl Passage {
    pub(crate) fn new(throttle: Throttle) -> Self {
        Self {
            throttle,
            turns: [false; BUCKETS],
            queued: None,
            delayed: false,
            timer: None,
        }
    }

    pub(crate) const fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    /// Ends the wait of an item that no longer has to pass.
    pub(crate) fn leave(self: Pin<&mut Self>) {
        let mut this = self.project();
        if let Some((index, step)) = this.queued.take() {
            let buckets = this.throttle.buckets();
            if let Some(bucket) = buckets.get(index).copied().flatten() {
                bucket.line.leave(step);
            }
        }
        *this.turns = [false; BUCKETS];
        *this.delayed = false;
        this.timer.set(None);
    }

    /// Takes `wants` from the buckets, each at most by its burst. Ready with what is left to take.
    pub(crate) fn poll_take(
        self: Pin<&mut Self>,
        wants: &[u64; BUCKETS],
        cx: &mut Context<'_>,
    ) -> Poll<[u64; BUCKETS]> {
        let mut this = self.project();
        loop {
            if let Some(timer) = this.timer.as_mut().as_pin_mut() {
                ready!(timer.poll(cx));
                this.timer.set(None);
                *this.queued = None;
            }
            let buckets = this.throttle.buckets();
            let mut ask = Ask::new(costs(wants, &buckets));
            let Some(delay) = attempt(this.throttle, &mut ask, *this.turns, clock::now()) else {
                *this.turns = [false; BUCKETS];
                return Poll::Ready(left(wants, &ask.costs, &buckets));
            };
            let step = buckets.get(delay.bucket).copied().flatten();
            let cost = ask.costs.get(delay.bucket).copied().unwrap_or(0);
            *this.queued = step.map(|bucket| (delay.bucket, bucket.refill(cost)));
            *this.delayed = true;
            if let Some(turn) = this.turns.get_mut(delay.bucket) {
                *turn = true;
            }
            this.timer.set(Some(sleep_until(delay.until)));
        }
    }

    /// Counts the item that has passed.
    pub(crate) fn count(self: Pin<&mut Self>) {
        let this = self.project();
        this.throttle.count(std::mem::take(this.delayed));
    }
}

impl Throttle {
    /// Takes the tokens of one item of this weight now, if they are there: from all buckets
    /// together or from none. For answers that cannot wait.
    ///
    /// An item that is heavier than the burst takes the burst. It does not wait behind streams that
    /// wait for the same bucket, so that it is not rejected for as long as they keep it empty.
    ///
    /// # Errors
    ///
    /// The time after which the bucket that lacks tokens has them.
    pub fn try_pass(&self, weight: usize, now: Instant) -> Result<(), Duration> {
        let buckets = self.buckets();
        let bytes = weight as u64;
        let mut ask = Ask::new(costs(&[1, bytes, 1, bytes], &buckets));
        let Some(rejection) = self.take(&mut ask, now) else {
            self.count(false);
            return Ok(());
        };
        let bucket = buckets.get(ask.asked()).copied().flatten();
        let period = bucket.map_or(Duration::ZERO, |bucket| bucket.quota().period());
        Err(rejection.retry_after().unwrap_or(period))
    }
}

/// What an item takes at once: of each bucket at most its burst.
fn costs(wants: &[u64; BUCKETS], buckets: &[Option<&Bucket>; BUCKETS]) -> [u32; BUCKETS] {
    let mut costs = [0; BUCKETS];
    for ((cost, want), bucket) in costs.iter_mut().zip(wants).zip(buckets) {
        if let Some(bucket) = bucket {
            let most = bucket.quota().max_burst();
            *cost = u32::try_from(*want).unwrap_or(u32::MAX).min(most);
        }
    }
    costs
}

/// What was not taken from the buckets that are there.
fn left(
    wants: &[u64; BUCKETS],
    costs: &[u32; BUCKETS],
    buckets: &[Option<&Bucket>; BUCKETS],
) -> [u64; BUCKETS] {
    let mut left = [0; BUCKETS];
    for (((left, want), cost), bucket) in left.iter_mut().zip(wants).zip(costs).zip(buckets) {
        if bucket.is_some() {
            *left = want.saturating_sub(u64::from(*cost));
        }
    }
    left
}

/// Takes from all buckets, or from none and returns when to try again.
fn attempt(
    throttle: &Throttle,
    ask: &mut Ask,
    turns: [bool; BUCKETS],
    now: Instant,
) -> Option<Delay> {
    let buckets = throttle.buckets();
    let busy = |from: usize, to: usize| {
        let mut candidates = buckets
            .iter()
            .zip(turns)
            .enumerate()
            .skip(from)
            .take(to - from);
        candidates.find_map(|(index, (bucket, turn))| {
            let bucket = bucket.filter(|bucket| !turn && bucket.line.is_busy(now))?;
            Some((index, bucket))
        })
    };
    let behind = |ask: &Ask, (index, bucket): (usize, &Bucket)| {
        let cost = ask.costs.get(index).copied().unwrap_or(0);
        Delay {
            bucket: index,
            until: bucket.line.join(now, bucket.refill(cost)),
        }
    };
    if let Some(inner) = busy(0, OUTER) {
        return Some(behind(ask, inner));
    }
    if let Some(outer) = busy(OUTER, BUCKETS) {
        // Without the tokens of its own bucket, an item does not wait for those of all.
        return Some(match throttle.peek_inner(ask, now) {
            Some(rejection) => first(&buckets, ask, &rejection, now),
            None => behind(ask, outer),
        });
    }
    let rejection = throttle.take(ask, now)?;
    Some(first(&buckets, ask, &rejection, now))
}

/// The next attempt, at the time that the bucket has given.
fn first(
    buckets: &[Option<&Bucket>; BUCKETS],
    ask: &Ask,
    rejection: &Rejection,
    now: Instant,
) -> Delay {
    let bucket = ask.asked();
    let until = match buckets.get(bucket).copied().flatten() {
        Some(bucket) => {
            // None only if the burst was lowered since the costs were computed.
            let wait = rejection.retry_after();
            bucket
                .line
                .lead(now, wait.unwrap_or_else(|| bucket.quota().period()))
        }
        None => now,
    };
    Delay { bucket, until }
}
