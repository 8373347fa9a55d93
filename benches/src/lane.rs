//! One call after another through one service: what every case is measured by.

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

use crate::cases::{
    Empty,
    bare::{HELLO, Make},
};

/// What became of a number of calls.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Answered by the inner service.
    pub accepted: u64,
    /// Refused with an error, or with a response that is not the inner service's.
    pub refused: u64,
    /// Left pending: the poll did not finish the call, so there is nothing to time.
    pub pending: u64,
}

impl Tally {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.accepted + self.refused + self.pending
    }

    /// The calls that ended so.
    pub fn of(&self, end: End) -> u64 {
        match end {
            End::Accepted => self.accepted,
            End::Refused => self.refused,
            End::Pending => self.pending,
        }
    }

    /// One call more.
    #[inline]
    pub fn count(&mut self, end: End) {
        match end {
            End::Accepted => self.accepted += 1,
            End::Refused => self.refused += 1,
            End::Pending => self.pending += 1,
        }
    }
}

/// What became of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Answered by the inner service.
    Accepted,
    /// Refused.
    Refused,
    /// The service or its future was not ready.
    Pending,
}

/// A runtime that is never driven, for peers that look for one with a timer while they are polled.
pub(crate) static TIMERS: LazyLock<Runtime> = LazyLock::new(timers);

fn timers() -> Runtime {
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime with a timer needs nothing that can be missing")
}

/// Makes the given number of calls on one long-lived handle.
pub type Lane = Box<dyn FnMut(u64) -> Tally + Send>;

/// What one thread alone writes, on cache lines of its own (two, since processors fetch them in pairs): otherwise two
/// threads share what lies side by side by chance.
#[repr(align(128))]
pub struct Apart<T>(pub T);

/// A lane that polls with a waker that does nothing: no runtime stands between the clock and the service.
///
/// A call is a request made, `poll_ready`, `call`, the future polled once, the body read to its end, and
/// everything dropped.
pub fn polled<S, B>(service: S, request: Make) -> Lane
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

/// A lane for a service whose answer waits for a timer: each call is driven by a runtime to its end.
pub fn awaited<S, B>(mut service: S, request: Make) -> Lane
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

/// A lane that makes requests and drops them: what a refusal cannot save.
pub fn unsent(request: Make) -> Lane {
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
    // Seen from outside, so that no part of it can be left out; by reference, so that it is not copied for that.
    black_box(&request);
    let future = pin!(call(service, request));
    match poll(future, &mut cx) {
        Poll::Ready(Ok(mut response)) => read(&mut response, &mut cx),
        Poll::Ready(Err(_)) => End::Refused,
        Poll::Pending => End::Pending,
    }
}

// A server calls, polls and reads in three different places. Compiled into one function, the three would share work or
// get in each other's way, differently for each case. And whoever calls or polls does it through these: of a function with a
// second caller the compiler makes a call of its own.

/// Calls a service.
#[inline(never)]
pub fn call<S: Service<Request<Empty>>>(service: &mut S, request: Request<Empty>) -> S::Future {
    service.call(request)
}

/// Polls what it answered.
#[inline(never)]
pub fn poll<F: Future>(future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    future.poll(cx)
}

/// Reads a response as a server does: frames until the body says that it has ended.
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
