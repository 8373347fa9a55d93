//! Drivers: one call after another through one service, the loop of every case.

use std::{
    hint::black_box,
    pin::{Pin, pin},
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use bytes::Buf;
use http::{Request, Response, StatusCode};
use http_body::Body;
use tokio::runtime::{Builder, Runtime};
use tower::Service;

use crate::cases::{Empty, Make, bare::HELLO};

/// How a number of calls ended.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Answered by the inner service.
    pub accepted: u64,
    /// Rejected with an error, or with a response that is not the inner service's.
    pub refused: u64,
    /// Left pending: the poll did not finish the call, so there is nothing to time.
    pub pending: u64,
}

impl Tally {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.accepted + self.refused + self.pending
    }

    /// The calls with this end.
    pub fn of(&self, end: End) -> u64 {
        match end {
            End::Accepted => self.accepted,
            End::Refused => self.refused,
            End::Pending => self.pending,
        }
    }

    /// Counts one call.
    #[inline]
    pub fn count(&mut self, end: End) {
        match end {
            End::Accepted => self.accepted += 1,
            End::Refused => self.refused += 1,
            End::Pending => self.pending += 1,
        }
    }
}

/// How one call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Answered by the inner service.
    Accepted,
    /// Rejected.
    Refused,
    /// The service or its future was not ready.
    Pending,
}

/// A runtime that is never driven, for peers that look for a timer while they are polled.
pub(crate) static TIMERS: LazyLock<Runtime> = LazyLock::new(timers);

fn timers() -> Runtime {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime with a timer needs nothing that can be missing")
}

/// A driver: makes the given number of calls on one long-lived handle.
pub type Driver = Box<dyn FnMut(u64) -> Tally + Send>;

/// A value on its own cache lines (two, since processors fetch them in pairs). Without it, values
/// of two threads could share a line by chance.
#[repr(align(128))]
pub struct Apart<T>(pub T);

/// A driver that polls with a waker that does nothing, without a runtime between the clock and the
/// service.
///
/// A call makes a request, calls `poll_ready` and `call`, polls the future once, reads the body to
/// its end, and drops everything.
pub fn polled<S, B>(service: S, request: Make) -> Driver
where
    S: Service<Request<Empty>, Response = Response<B>> + Send + 'static,
    B: Body + Unpin,
{
    let mut own = Apart(service);
    Box::new(move |calls| {
        let Apart(service) = &mut own;
        let _entered = TIMERS.enter();
        let mut tally = Tally::default();
        for _ in 0..calls {
            tally.count(poll_once(service, request()));
        }
        tally
    })
}

/// A driver for a service whose answer waits for a timer: a runtime drives each call to its end.
pub fn awaited<S, B>(mut service: S, request: Make) -> Driver
where
    S: Service<Request<Empty>, Response = Response<B>> + Send + 'static,
    B: Body + Unpin,
{
    let runtime = timers();
    Box::new(move |calls| {
        let mut tally = Tally::default();
        for _ in 0..calls {
            let result = runtime.block_on(async {
                std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(request()).await
            });
            let mut cx = Context::from_waker(Waker::noop());
            tally.count(result.map_or(End::Refused, |mut response| read(&mut response, &mut cx)));
        }
        tally
    })
}

/// A driver that makes requests and drops them: the cost that a rejection cannot avoid.
pub fn unsent(request: Make) -> Driver {
    Box::new(move |calls| {
        for _ in 0..calls {
            drop(black_box(request()));
        }
        Tally {
            accepted: calls,
            ..Tally::default()
        }
    })
}

fn poll_once<S, B>(service: &mut S, request: Request<Empty>) -> End
where
    S: Service<Request<Empty>, Response = Response<B>>,
    B: Body + Unpin,
{
    let mut cx = Context::from_waker(Waker::noop());
    match service.poll_ready(&mut cx) {
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(_)) => return End::Refused,
        Poll::Pending => return End::Pending,
    }
    // Hidden from the optimiser, so that no part of the request is left out; by reference, to avoid
    // a copy.
    black_box(&request);
    let future = pin!(call(service, request));
    match poll(future, &mut cx) {
        Poll::Ready(Ok(mut response)) => read(&mut response, &mut cx),
        Poll::Ready(Err(_)) => End::Refused,
        Poll::Pending => End::Pending,
    }
}

// A server calls, polls and reads in three different places. In one function the three would be
// optimised together, differently for each case. All callers use these functions: with a second
// caller the compiler emits a real call.

/// Calls a service.
#[inline(never)]
pub fn call<S: Service<Request<Empty>>>(service: &mut S, request: Request<Empty>) -> S::Future {
    service.call(request)
}

/// Polls the future of a call.
#[inline(never)]
pub fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}

/// Reads a response as a server does: frames until the body has ended.
#[inline(never)]
fn read<B: Body + Unpin>(response: &mut Response<B>, cx: &mut Context<'_>) -> End {
    black_box(&*response);
    let mut length = 0;
    while !response.body().is_end_stream() {
        match Pin::new(response.body_mut()).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                length += frame.data_ref().map_or(0, Buf::remaining);
            }
            Poll::Ready(Some(Err(_))) => return End::Refused,
            Poll::Ready(None) => break,
            Poll::Pending => return End::Pending,
        }
    }
    if response.status() == StatusCode::OK && length == HELLO.len() {
        End::Accepted
    } else {
        End::Refused
    }
}
