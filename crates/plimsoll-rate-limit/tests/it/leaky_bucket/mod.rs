//! The leaky bucket: requests are queued and admitted at a constant rate.
#![allow(clippy::float_cmp)] // loads here are fractions that a float holds exactly

mod contract;
mod live;
mod model;
mod queue;
mod threads;
mod wire;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use plimsoll_core::{Deadline, Policy, Rejection, policy::Verdict};
use plimsoll_rate_limit::{LeakyBucket, LeakyBucketPermit, LeakyBucketWait};
use tokio::time::Instant;

use crate::ms;

/// A request is its cost and its deadline.
type Req = (u32, Option<Deadline>);
type Bucket = LeakyBucket<fn(&Req) -> u32, fn(&Req, Instant) -> Option<Deadline>>;

fn of(bucket: LeakyBucket) -> Bucket {
    let units: fn(&Req) -> u32 = |req| req.0;
    let deadline: fn(&Req, Instant) -> Option<Deadline> = |req, _| req.1;
    bucket.cost(units).deadlines(deadline)
}

/// One departure per 10 ms; up to `len` queued requests, for up to a second.
fn bucket(len: usize) -> Bucket {
    let bucket = LeakyBucket::new(100, ms(1000)).and_then(|bucket| bucket.max_waiting(len));
    of(bucket
        .and_then(|bucket| bucket.max_wait(ms(1000)))
        .expect("valid"))
}

/// What a gate does with a policy. Dropping it cancels the call.
struct Call<'a> {
    bucket: &'a Bucket,
    req: Req,
    stage: Stage,
}

enum Stage {
    Waiting(Pin<Box<LeakyBucketWait>>),
    Departed(LeakyBucketPermit),
    Rejected(Rejection),
    Ended,
}

fn call(bucket: &Bucket) -> Call<'_> {
    call_with(bucket, (1, None))
}

fn call_with(bucket: &Bucket, mut req: Req) -> Call<'_> {
    let stage = match bucket.admit(&mut req, Instant::now()) {
        Verdict::Admit(permit) => Stage::Departed(permit),
        Verdict::Reject(rejection) => Stage::Rejected(rejection),
        Verdict::Wait(wait) => Stage::Waiting(Box::pin(wait)),
    };
    Call { bucket, req, stage }
}

impl Call<'_> {
    fn poll_with(&mut self, waker: &Waker) {
        if let Stage::Waiting(wait) = &mut self.stage {
            let mut cx = Context::from_waker(waker);
            match self
                .bucket
                .poll_wait(wait.as_mut(), &mut self.req, Instant::now(), &mut cx)
            {
                Poll::Ready(Ok(permit)) => self.stage = Stage::Departed(permit),
                Poll::Ready(Err(rejection)) => self.stage = Stage::Rejected(rejection),
                Poll::Pending => {}
            }
        }
    }

    fn has_departed(&mut self) -> bool {
        self.poll_with(Waker::noop());
        matches!(self.stage, Stage::Departed(_))
    }

    fn is_waiting(&mut self) -> bool {
        self.poll_with(Waker::noop());
        matches!(self.stage, Stage::Waiting(_))
    }

    fn rejection(&mut self) -> Option<Rejection> {
        self.poll_with(Waker::noop());
        match self.stage {
            Stage::Rejected(rejection) => Some(rejection),
            _ => None,
        }
    }

    /// Takes the departure, which is then spent.
    fn go(mut self) {
        assert!(self.has_departed(), "the departure is due");
        self.stage = Stage::Ended;
    }
}

/// Completes when the request departs or is rejected.
impl Future for Call<'_> {
    type Output = Result<Instant, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_with(cx.waker());
        match self.stage {
            Stage::Waiting(_) => Poll::Pending,
            Stage::Rejected(rejection) => Poll::Ready(Err(rejection)),
            Stage::Departed(_) | Stage::Ended => {
                self.stage = Stage::Ended;
                Poll::Ready(Ok(Instant::now()))
            }
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Waiting(mut wait) => Policy::<Req>::abandon(self.bucket, wait.as_mut(), now),
            Stage::Departed(permit) => Policy::<Req>::revoke(self.bucket, permit, now, now),
            Stage::Rejected(_) | Stage::Ended => {}
        }
    }
}

/// Counts wake-ups.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn count(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn counting_waker() -> (Arc<Wakes>, Waker) {
    let wakes = Arc::new(Wakes::default());
    (Arc::clone(&wakes), Waker::from(wakes))
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
