//! A response stream whose client sends credit.

use std::{
    pin::Pin,
    task::{Poll, ready},
};

use futures_core::Stream;
use tokio::task::coop;
use tonic::Status;

use crate::{
    demand::{Demand, InvalidRequest},
    grpc::{responses::Responses, stop::Stop},
};

/// Messages of the client that are read before a response is sent.
///
/// 32, so that small grants are added up, and a client that sends without an end cannot keep its
/// own responses from being sent: `a_flood_of_credit_closes_the_window_of_the_client_that_sends_it`.
const BATCH: usize = 32;

/// Sends as many responses as the client has requested in its own stream: a bidirectional call
/// with `request(n)`.
///
/// `on_message` is called with each message of the client, and adds the credit in it to the
/// [`Demand`]. The windows
/// of HTTP/2 and the buffers of the client's library hold hundreds of messages that the client has
/// not seen; with credit it gets what it has asked for.
///
/// The stream ends when the responses end, when the client ends its own stream, whatever credit is
/// left, or with the first error of either side or of `on_message`. A client of tonic leaves by
/// dropping both: the stream that it sends and the one that it receives.
///
/// No task is spawned. The client's stream is read when the server polls for a response, so a
/// client that sends credit and reads nothing closes its own window.
///
/// ```
/// use plimsoll_stream::{Demand, Hub, grpc::{Responses, credited, gaps}};
/// use tonic::{Request, Response, Status, Streaming};
///
/// /// What a client sends.
/// struct Wanted { messages: u32 }
///
/// # #[derive(Clone)] struct Tick;
/// async fn ticks(
///     hub: &Hub<Tick>,
///     request: Request<Streaming<Wanted>>,
/// ) -> Result<Response<Responses<Tick>>, Status> {
///     let ticks = Responses::from_hub(hub.subscribe()?, gaps::data_loss);
///     let on_message = |wanted: Wanted, demand: &Demand| {
///         Ok(demand.request(wanted.messages.into())?)
///     };
///     Ok(Response::new(credited(request.into_inner(), on_message, ticks)))
/// }
/// ```
pub fn credited<R, M: 'static>(
    messages: impl Stream<Item = Result<R, Status>> + Send + Unpin + 'static,
    mut on_message: impl FnMut(R, &Demand) -> Result<(), Status> + Send + 'static,
    responses: impl Stream<Item = Result<M, Status>> + Send + Unpin + 'static,
) -> Responses<M> {
    let demand = Demand::new();
    let mut messages = messages;
    let mut gated = demand.gate(responses);
    Responses::new(move |cx| {
        loop {
            let mut is_empty = false;
            for _ in 0..BATCH {
                // A client that sends without an end would otherwise keep other tasks from running.
                let budget = ready!(coop::poll_proceed(cx));
                let Poll::Ready(message) = Pin::new(&mut messages).poll_next(cx) else {
                    is_empty = true;
                    break;
                };
                budget.made_progress();
                match message.map(|message| on_message(message?, &demand)) {
                    Some(Ok(())) => {}
                    Some(Err(status)) => return Poll::Ready(Some(Err(status.into()))),
                    None => return Poll::Ready(None),
                }
            }
            let response = Pin::new(&mut gated).poll_next(cx);
            if response.is_ready() || is_empty {
                return response.map(|next| next.map(|next| next.map_err(Stop::from)));
            }
        }
    })
}

/// `INVALID_ARGUMENT`: a client that requests nothing breaks the protocol.
impl From<InvalidRequest> for Status {
    fn from(error: InvalidRequest) -> Self {
        Self::invalid_argument(error.to_string())
    }
}
