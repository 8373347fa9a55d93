//! Behaviour through the public API.

mod alarm;
mod cancellation;
mod credit;
mod demand;
mod faces;
mod figures;
#[cfg(feature = "tonic")]
mod grpc;
mod hub;
mod hub_model;
mod interleavings;
mod laws;
#[cfg(feature = "listener")]
mod listener;
mod many_tasks;
#[cfg(feature = "metrics")]
mod metrics;
mod model;
mod pipeline;
mod pipeline_model;
mod policies;
mod sampled;
mod select;
mod settings;
#[cfg(feature = "axum")]
mod sse;
#[cfg(feature = "throttle")]
mod throttle;
mod waiting;
#[cfg(all(feature = "listener", feature = "websocket"))]
mod websocket;
#[cfg(feature = "axum")]
mod work;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use plimsoll_stream::{BoundedQueue, DropReason, QueuePolicy, Sent};

/// A queue that is known to be valid.
fn queue<T>(capacity: usize, policy: QueuePolicy) -> BoundedQueue<T> {
    BoundedQueue::new(capacity, policy).expect("valid settings")
}

/// What a send lost.
fn lost<T>(sent: Sent<T>) -> Vec<(T, DropReason)> {
    sent.lost.into_iter().collect()
}

/// Counts wakes.
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

/// A future that is polled by hand.
struct Task<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
}

impl<F: Future> Task<F> {
    fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            wakes: Arc::default(),
        }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> usize {
        self.wakes.count()
    }
}
