//! Answers to the messages of a client, with a bound on those in flight.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio::task::{JoinError, JoinSet};
use tonic::Status;

use crate::grpc::{responses::Responses, stop::Stop};

/// No message could be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("in_flight must be at least 1 message, got 0")]
pub struct InvalidInFlight;

/// How the messages of a client are handled; see [`in_flight`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "nothing is handled before `handle`"]
pub struct InFlight {
    max: usize,
    in_order: bool,
}

/// Handles at most `max` messages of a bidirectional stream at once, and answers in their order.
///
/// A message is in flight from when it is received to when its answer is sent. With `max` in flight
/// the client's stream is not read, so its window closes and the client has to wait.
///
/// Each message is handled in a task of its own, so a client that does not read answers does not
/// suspend a handler half-way, while it holds what others wait for. The tasks are aborted when the
/// stream ends or is dropped.
///
/// ```
/// use plimsoll_stream::grpc::{Responses, in_flight};
/// use tonic::{Request, Response, Status, Streaming};
///
/// # struct Image; struct Thumbnail;
/// # async fn resize(_: Image) -> Result<Thumbnail, Status> { Ok(Thumbnail) }
/// async fn thumbnails(
///     request: Request<Streaming<Image>>,
/// ) -> Result<Response<Responses<Thumbnail>>, Status> {
///     let handling = in_flight(8).map_err(|error| Status::internal(error.to_string()))?;
///     Ok(Response::new(handling.handle(request.into_inner(), resize)))
/// }
/// ```
///
/// # Errors
///
/// [`InvalidInFlight`] when `max` is 0.
pub fn in_flight(max: usize) -> Result<InFlight, InvalidInFlight> {
    let in_order = true;
    match max {
        0 => Err(InvalidInFlight),
        _ => Ok(InFlight { max, in_order }),
    }
}

impl InFlight {
    /// Sends each answer when it is there, instead of in the order of the messages.
    ///
    /// An answer that is late does not hold up the others, and a message has to say what it
    /// answers.
    pub fn as_completed(mut self) -> Self {
        self.in_order = false;
        self
    }

    /// Returns the answers of `handler` to the messages of the client.
    ///
    /// The stream ends with the first error of the handler, with `INTERNAL` when the handler
    /// panics, or after the last answer when the client's stream has ended. An error of the
    /// client's stream comes after the answers to the messages before it.
    ///
    /// # Panics
    ///
    /// When it is polled outside of a tokio runtime.
    pub fn handle<R, M, F>(
        self,
        messages: impl Stream<Item = Result<R, Status>> + Send + Unpin + 'static,
        handler: impl FnMut(R) -> F + Send + 'static,
    ) -> Responses<M>
    where
        M: Send + 'static,
        F: Future<Output = Result<M, Status>> + Send + 'static,
    {
        let mut handling = Handling {
            settings: self,
            messages: Some(messages),
            handler,
            tasks: JoinSet::new(),
            answers: VecDeque::new(),
            first: 0,
            failed: None,
        };
        Responses::new(move |cx| handling.poll_next(cx))
    }
}

struct Handling<S, H, M> {
    settings: InFlight,
    /// `None` after the end.
    messages: Option<S>,
    handler: H,
    tasks: JoinSet<(u64, Result<M, Status>)>,
    /// Places for the answers of all messages in flight, in order.
    answers: VecDeque<Option<Result<M, Status>>>,
    /// The number of the message of the first place.
    first: u64,
    /// Why the client's stream has ended.
    failed: Option<Status>,
}

impl<S, R, H, F, M> Handling<S, H, M>
where
    S: Stream<Item = Result<R, Status>> + Unpin,
    H: FnMut(R) -> F,
    F: Future<Output = Result<M, Status>> + Send + 'static,
    M: Send + 'static,
{
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<M, Stop>>> {
        self.receive(cx);
        loop {
            if let Some(Some(_)) = self.answers.front() {
                self.first += 1;
                let answer = self.answers.pop_front().flatten();
                return Poll::Ready(answer.map(|answer| answer.map_err(Stop::from)));
            }
            let Some(joined) = ready!(self.tasks.poll_join_next(cx)) else {
                return match self.messages {
                    Some(_) => Poll::Pending,
                    None => Poll::Ready(self.failed.take().map(|status| Err(status.into()))),
                };
            };
            let (n, answer) = match joined {
                Ok(joined) => joined,
                Err(error) => return Poll::Ready(Some(Err(panicked(&error)))),
            };
            match self.answers.get_mut((n - self.first) as usize) {
                Some(place) => *place = Some(answer),
                None => return Poll::Ready(Some(answer.map_err(Stop::from))),
            }
        }
    }

    /// Starts handlers up to the bound. If there is room left, the waker is registered.
    fn receive(&mut self, cx: &mut Context<'_>) {
        while self.in_flight() < self.settings.max {
            let Some(messages) = &mut self.messages else {
                return;
            };
            match Pin::new(messages).poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(message))) => self.start(message),
                Poll::Ready(end) => {
                    self.failed = end.and_then(Result::err);
                    self.messages = None;
                }
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.tasks.len().max(self.answers.len())
    }

    fn start(&mut self, message: R) {
        let n = self.first + self.answers.len() as u64;
        if self.settings.in_order {
            self.answers.push_back(None);
        }
        let answer = (self.handler)(message);
        self.tasks.spawn(async move { (n, answer.await) });
    }
}

/// The tasks are aborted with the set only, so an error is a panic. Its message may be secret.
fn panicked(_: &JoinError) -> Stop {
    Status::internal("the handler panicked").into()
}
