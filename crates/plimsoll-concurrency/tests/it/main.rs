//! Behaviour of the concurrency limit through its public API.
#![allow(clippy::float_cmp)] // loads here are fractions that a float holds exactly

mod adaptive;
mod aimd;
#[cfg(not(loom))]
mod balance;
mod builder;
mod cells;
mod contract;
mod controlled_delay;
#[cfg(all(target_os = "linux", not(loom)))]
mod descriptors;
mod fair;
mod gradient2;
mod hint;
mod hot;
mod inner_gate;
mod limit;
#[cfg(not(loom))]
mod listener;
mod model;
mod moving;
mod order;
mod panics;
mod partitions;
mod priority;
mod published;
mod queue;
#[cfg(not(loom))]
mod recipes;
mod routes;
mod sampler;
mod service_time;
mod settings;
mod sim;
mod stalls;
#[cfg(not(loom))]
mod streams;
mod stress;
mod trust;
mod vegas;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitPermit, ConcurrencyLimitWait};
use plimsoll_core::{
    Class, Deadline, Outcome, Policy, Priority, Rejection, Same,
    policy::{Prioritize, Verdict},
};
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);

/// After this time without a wake-up a test fails, because the wake-up was lost: 10 seconds. Every
/// wait here is a fraction of a second, so a shorter time would only fail on a machine that pauses.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// Awaits a future that another task has to wake: a lost wake-up fails the test instead of blocking
/// it.
///
/// On the paused clock this takes no time.
async fn woken<F: Future>(future: F) -> F::Output {
    let ended = tokio::time::timeout(LOST_AFTER, future).await;
    ended.expect("a wake-up was lost")
}

/// Wakes a thread that is [parked](park).
struct Unpark(Thread);

impl Unpark {
    /// Returns a waker of the current thread.
    fn this() -> Waker {
        Waker::from(Arc::new(Self(thread::current())))
    }
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Parks until the waker of this thread is woken: a lost wake-up fails the test instead of blocking
/// it.
fn park() {
    let since = Instant::now();
    thread::park_timeout(LOST_AFTER);
    assert!(since.elapsed() < LOST_AFTER, "a wake-up was lost");
}

/// A request consists of its deadline and its priority.
#[derive(Debug, Clone, Copy, Default)]
struct Req {
    deadline: Option<Deadline>,
    priority: Priority,
}

impl From<Option<Deadline>> for Req {
    fn from(deadline: Option<Deadline>) -> Self {
        Self {
            deadline,
            ..Self::default()
        }
    }
}

impl From<Priority> for Req {
    fn from(priority: Priority) -> Self {
        Self {
            priority,
            ..Self::default()
        }
    }
}

type Limit<R = Same> = ConcurrencyLimit<fn(&Req, Instant) -> Option<Deadline>, R>;
type ByPriority = fn(&Req) -> Priority;

fn with_deadlines(limit: ConcurrencyLimit) -> Limit {
    limit.deadlines(|req, _| req.deadline)
}

/// As [`queued`], with priorities.
fn ranked(slots: usize, len: usize) -> Limit<ByPriority> {
    queued(slots, len).priorities(|req| req.priority)
}

/// `slots` slots with a queue of `len`, for up to a second.
fn queued(slots: usize, len: usize) -> Limit {
    with_deadlines(
        ConcurrencyLimit::new(slots)
            .unwrap()
            .queue(len, Duration::from_secs(1))
            .unwrap(),
    )
}

/// Drives a policy as a gate does; dropping it cancels the call.
struct Call<'a, R: Prioritize<Req> = Same> {
    limit: &'a Limit<R>,
    req: Req,
    stage: Stage,
}

enum Stage {
    Waiting(Pin<Box<ConcurrencyLimitWait>>),
    Running(ConcurrencyLimitPermit, Instant),
    Rejected(Rejection),
    Over,
}

fn call<R: Prioritize<Req>>(limit: &Limit<R>) -> Call<'_, R> {
    call_with(limit, Req::default())
}

fn call_with<R: Prioritize<Req>>(limit: &Limit<R>, req: impl Into<Req>) -> Call<'_, R> {
    let mut req = req.into();
    let stage = match limit.admit(&mut req, Instant::now()) {
        Verdict::Admit(permit) => Stage::Running(permit, Instant::now()),
        Verdict::Reject(rejection) => Stage::Rejected(rejection),
        Verdict::Wait(wait) => Stage::Waiting(Box::pin(wait)),
    };
    Call { limit, req, stage }
}

impl<R: Prioritize<Req>> Call<'_, R> {
    fn poll_with(&mut self, waker: &Waker) {
        if let Stage::Waiting(wait) = &mut self.stage {
            let mut cx = Context::from_waker(waker);
            match self
                .limit
                .poll_wait(wait.as_mut(), &mut self.req, Instant::now(), &mut cx)
            {
                Poll::Ready(Ok(permit)) => self.stage = Stage::Running(permit, Instant::now()),
                Poll::Ready(Err(rejection)) => self.stage = Stage::Rejected(rejection),
                Poll::Pending => {}
            }
        }
    }

    fn is_running(&mut self) -> bool {
        self.poll_with(Waker::noop());
        matches!(self.stage, Stage::Running(..))
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

    /// Ends a running call with success.
    fn finish(self) {
        self.end(Class::Success);
    }

    /// Ends a running call as cancelled.
    fn cancel(self) {
        self.end(Class::Cancelled);
    }

    fn end(mut self, class: Class) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Running(permit, since) => {
                let outcome = Outcome::new(class, since.elapsed(), Instant::now());
                Policy::<Req>::finish(self.limit, permit, &outcome);
            }
            _ => panic!("only running calls end"),
        }
    }
}

/// Resolves when the call runs or is rejected.
impl<R: Prioritize<Req>> Future for Call<'_, R> {
    type Output = Option<Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Rejection>> {
        self.poll_with(cx.waker());
        match self.stage {
            Stage::Waiting(_) => Poll::Pending,
            Stage::Rejected(rejection) => Poll::Ready(Some(rejection)),
            Stage::Running(..) | Stage::Over => Poll::Ready(None),
        }
    }
}

impl<R: Prioritize<Req>> Drop for Call<'_, R> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Waiting(mut wait) => {
                Policy::<Req>::abandon(self.limit, wait.as_mut(), Instant::now());
            }
            Stage::Running(permit, _) => {
                let now = Instant::now();
                Policy::<Req>::revoke(self.limit, permit, now, now);
            }
            Stage::Rejected(_) | Stage::Over => {}
        }
    }
}

/// Counts its wake-ups.
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
