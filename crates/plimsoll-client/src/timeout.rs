//! The innermost layer of a [`ClientStack`](crate::ClientStack): the time of one call.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use plimsoll_core::protocol::BoxError;
use tokio::time::Sleep;
use tower_service::Service;

use crate::TimedOut;

/// Ends calls that take too long with [`TimedOut::Attempt`]. Without a timeout it does nothing.
///
/// Its position is inside of a gate, so that the gate sees a failure, and not a cancelled call.
#[derive(Debug, Clone)]
pub struct CallTimeout<S> {
    inner: S,
    timeout: Option<Duration>,
}

impl<S> CallTimeout<S> {
    pub(crate) fn new(inner: S, timeout: Option<Duration>) -> Self {
        Self { inner, timeout }
    }
}

impl<S, Req> Service<Req> for CallTimeout<S>
where
    S: Service<Req>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = CallTimeoutFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, req: Req) -> Self::Future {
        CallTimeoutFuture {
            future: self.inner.call(req),
            timer: self.timeout.map(tokio::time::sleep),
        }
    }
}

pin_project! {
    /// The response future of a [`CallTimeout`].
    #[derive(Debug)]
    pub struct CallTimeoutFuture<F> {
        #[pin]
        future: F,
        #[pin]
        timer: Option<Sleep>,
    }
}

impl<F, R, E> Future for CallTimeoutFuture<F>
where
    F: Future<Output = Result<R, E>>,
    E: Into<BoxError>,
{
    type Output = Result<R, BoxError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(result) = this.future.poll(cx) {
            return Poll::Ready(result.map_err(Into::into));
        }
        match this.timer.as_pin_mut() {
            Some(timer) => timer.poll(cx).map(|()| Err(TimedOut::Attempt.into())),
            None => Poll::Pending,
        }
    }
}
