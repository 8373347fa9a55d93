//! Bidirectional streams with a bound on the messages in flight.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt, Stream, StreamExt, stream};
use plimsoll_stream::grpc::{InFlight, InvalidInFlight, Responses, Windows, in_flight};
use proptest::prelude::*;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::{Code, Status, transport::Server};

use super::fixture::{Client, Count, SIZE, message, read, read_all, serve, settled, small, until};

#[test]
fn none_in_flight_is_no_setting() {
    assert_eq!(in_flight(0), Err(InvalidInFlight));
    assert_eq!(
        InvalidInFlight.to_string(),
        "in_flight must be at least 1 message, got 0"
    );
}

/// What the handlers of a server do.
#[derive(Clone, Default)]
struct Handlers {
    running: Count,
    started: Count,
    most: Arc<Mutex<usize>>,
}

impl Handlers {
    /// Serves handlers that each need a permit.
    async fn serve(&self, handling: InFlight, permits: &Arc<Semaphore>) -> std::net::SocketAddr {
        let (this, permits) = (self.clone(), Arc::clone(permits));
        let server = Windows::default().server(Server::builder());
        serve(server, move |_, messages| {
            let (this, permits) = (this.clone(), Arc::clone(&permits));
            let answers = handling.handle(messages, move |message| {
                let held = this.running.hold();
                this.started.add();
                let mut most = this.most.lock().unwrap();
                *most = (*most).max(this.running.get());
                let permits = Arc::clone(&permits);
                async move {
                    permits.acquire().await.unwrap().forget();
                    drop(held);
                    Ok(message)
                }
            });
            Ok(answers.boxed())
        })
        .await
    }
}

#[tokio::test]
async fn with_the_bound_in_flight_the_client_has_to_wait() {
    let (handlers, permits) = (Handlers::default(), Arc::new(Semaphore::new(0)));
    let addr = handlers.serve(in_flight(4).unwrap(), &permits).await;
    let client = Client::connect(addr).await;
    let taken = Count::default();
    let mut answers = client.stream("/", taken.messages(2_000)).await.unwrap();
    until("the bound is in flight", || handlers.started.get() == 4).await;
    // Its window, two chunks of its encoder, a frame that the server has decoded half, and four.
    let bound = (128 << 10) / SIZE + 2 * 33 + 16 + 4;
    let stopped = settled(|| taken.get()).await;
    assert!(stopped <= bound, "{stopped}");
    assert_eq!(handlers.started.get(), 4);

    permits.add_permits(2_000);
    let (seqs, status) = read_all(&mut answers).await;
    assert!(seqs.into_iter().eq(0..2_000) && status.is_none());
    assert!(*handlers.most.lock().unwrap() <= 4);
    assert_eq!(handlers.running.get(), 0);
}

#[tokio::test]
async fn a_client_that_reads_no_answers_suspends_no_handler() {
    let (handlers, permits) = (Handlers::default(), Arc::new(Semaphore::new(1 << 20)));
    let addr = handlers.serve(in_flight(4).unwrap(), &permits).await;
    let client = Client::connect(addr).await;
    let taken = Count::default();
    let mut answers = client.stream("/", taken.messages(5_000)).await.unwrap();
    let stopped = settled(|| taken.get()).await;
    // The windows of both directions.
    assert!(
        stopped <= 2 * ((128 << 10) / SIZE + 2 * 33) + 16 + 4,
        "{stopped}"
    );
    assert_eq!(
        handlers.running.get(),
        0,
        "those in flight have their answers"
    );
    let neighbour = client.stream("/", Count::default().messages(500));
    assert_eq!(read_all(&mut neighbour.await.unwrap()).await.0.len(), 500);
    let (seqs, status) = read_all(&mut answers).await;
    assert!(seqs.into_iter().eq(0..5_000) && status.is_none());
}

#[tokio::test]
async fn a_client_that_leaves_aborts_its_handlers() {
    for read_before in [0, 3] {
        let (handlers, permits) = (Handlers::default(), Arc::new(Semaphore::new(read_before)));
        let addr = handlers.serve(in_flight(4).unwrap(), &permits).await;
        let client = Client::connect(addr).await;
        let messages = Count::default().messages(100);
        let mut answers = client.stream("/", messages).await.unwrap();
        read(&mut answers, read_before).await;
        until("four are in flight", || handlers.running.get() == 4).await;
        drop(answers);
        until("none is in flight", || handlers.running.get() == 0).await;
        assert_eq!(handlers.started.get(), read_before + 4);
    }
}

/// A handler that was started, and how it is released.
type Start = (u64, oneshot::Sender<Result<u64, Status>>);

/// Answers to 0, 1, ... that are sent when they are released by number.
fn by_hand(
    handling: InFlight,
    messages: impl Stream<Item = Result<u64, Status>> + Send + Unpin + 'static,
) -> (Responses<u64>, mpsc::UnboundedReceiver<Start>) {
    let (started, starts) = mpsc::unbounded_channel();
    let responses = handling.handle(messages, move |n: u64| {
        let (answer, answered) = oneshot::channel();
        started.send((n, answer)).unwrap();
        async move { answered.await.expect("the test answers") }
    });
    (responses, starts)
}

/// Lets tasks run, and polls once.
async fn poll(responses: &mut Responses<u64>) -> Option<Option<Result<u64, Code>>> {
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
    let next = responses.next().now_or_never();
    next.map(|next| next.map(|next| next.map_err(|status| status.code())))
}

#[tokio::test]
async fn answers_are_in_order_or_as_completed() {
    let numbers = || stream::iter((0..3).map(Ok));
    let (mut responses, mut starts) = by_hand(in_flight(3).unwrap(), numbers());
    assert_eq!(poll(&mut responses).await, None);
    let mut answers: Vec<_> = std::iter::from_fn(|| starts.try_recv().ok()).collect();
    assert_eq!(answers.len(), 3);
    for (n, answer) in answers.drain(1..).rev() {
        answer.send(Ok(n * 10)).unwrap();
    }
    assert_eq!(poll(&mut responses).await, None, "the first is not there");
    answers.remove(0).1.send(Ok(0)).unwrap();
    for n in 0..3 {
        assert_eq!(poll(&mut responses).await, Some(Some(Ok(n * 10))));
    }
    assert_eq!(poll(&mut responses).await, Some(None));

    let (mut responses, mut starts) = by_hand(in_flight(3).unwrap().as_completed(), numbers());
    assert_eq!(poll(&mut responses).await, None);
    let answers: Vec<_> = std::iter::from_fn(|| starts.try_recv().ok()).collect();
    for (n, answer) in answers.into_iter().rev() {
        answer.send(Ok(n * 10)).unwrap();
        assert_eq!(poll(&mut responses).await, Some(Some(Ok(n * 10))));
    }
    assert_eq!(poll(&mut responses).await, Some(None));
}

#[tokio::test]
async fn an_answer_that_waits_for_its_turn_is_in_flight() {
    let (mut responses, mut starts) = by_hand(in_flight(2).unwrap(), stream::iter((0..).map(Ok)));
    assert_eq!(poll(&mut responses).await, None);
    let first = starts.try_recv().unwrap();
    let (n, answer) = starts.try_recv().unwrap();
    answer.send(Ok(n)).unwrap();
    assert_eq!(poll(&mut responses).await, None);
    assert!(starts.try_recv().is_err(), "no third is started");
    first.1.send(Ok(0)).unwrap();
    assert_eq!(poll(&mut responses).await, Some(Some(Ok(0))));
}

#[tokio::test]
async fn the_first_error_ends_the_stream_and_aborts_the_rest() {
    let running = Count::default();
    let held = running.clone();
    let messages = stream::iter((0..10_u64).map(Ok)).chain(stream::pending());
    let mut responses: Responses<u64> = in_flight(4).unwrap().handle(messages, move |n| {
        let held = held.hold();
        async move {
            let answer = match n {
                2 => Err(Status::not_found("two")),
                3 => std::future::pending().await,
                n => Ok(n),
            };
            drop(held);
            answer
        }
    });
    let mut seen = Vec::new();
    while let Some(next) = responses.next().await {
        seen.push(next.map_err(|status| status.code()));
    }
    assert_eq!(seen, [Ok(0), Ok(1), Err(Code::NotFound)]);
    until("all are aborted", || running.get() == 0).await;
}

#[tokio::test]
async fn an_error_of_the_client_comes_after_the_answers_before_it() {
    let messages = [Ok(1), Ok(2), Err(Status::data_loss("cut"))];
    for handling in [
        in_flight(1).unwrap(),
        in_flight(8).unwrap(),
        in_flight(8).unwrap().as_completed(),
    ] {
        let responses = handling.handle(
            stream::iter(messages.clone()),
            |n: u64| async move { Ok(n) },
        );
        let mut seen: Vec<_> = responses
            .map(|next| next.map_err(|status| status.code()))
            .collect()
            .await;
        assert_eq!(seen.pop(), Some(Err(Code::DataLoss)));
        seen.sort_unstable_by_key(|next| *next.as_ref().unwrap());
        assert_eq!(seen, [Ok(1), Ok(2)]);
    }
}

#[tokio::test]
async fn a_handler_that_panics_ends_the_stream_with_internal() {
    let addr = serve(Server::builder(), |_, messages| {
        let handling = in_flight(4).unwrap();
        Ok(handling
            .handle(messages, |message| async move {
                assert_ne!(message, small(3), "as the test wants");
                Ok(message)
            })
            .boxed())
    })
    .await;
    let client = Client::connect(addr).await;
    let messages = stream::iter((0..5).map(small)).chain(stream::pending());
    let (seqs, status) = read_all(&mut client.stream("/", messages).await.unwrap()).await;
    assert!(seqs.len() <= 3);
    let status = status.unwrap();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Internal, "the handler panicked")
    );
    let messages = stream::iter((10..15).map(message));
    let (seqs, status) = read_all(&mut client.stream("/", messages).await.unwrap()).await;
    assert!(
        seqs.into_iter().eq(10..15) && status.is_none(),
        "the connection goes on"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against the slow and obvious: each message is answered once, in order if so set, and never
    /// more than the bound run at once.
    #[test]
    fn each_message_is_answered_once(
        max in 1_usize..8,
        in_order in any::<bool>(),
        delays in prop::collection::vec(0_u64..20, 0..40),
        arrivals in prop::collection::vec(0_u64..5, 40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let (running, most) = (Count::default(), Arc::new(Mutex::new(0)));
        let expected: Vec<_> = (0..delays.len()).collect();
        let (count, peak) = (running.clone(), Arc::clone(&most));
        let seen: Vec<_> = runtime.block_on(async move {
            let messages = stream::iter(delays.into_iter().enumerate().zip(arrivals)).then(
                |(message, arrival)| async move {
                    tokio::time::sleep(Duration::from_millis(arrival)).await;
                    Ok(message)
                },
            );
            let handling = in_flight(max).unwrap();
            let handling = if in_order { handling } else { handling.as_completed() };
            let responses = handling.handle(messages.boxed(), move |(n, delay)| {
                let held = count.hold();
                let mut most = peak.lock().unwrap();
                *most = (*most).max(count.get());
                async move {
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                    drop(held);
                    Ok(n)
                }
            });
            responses.map(Result::unwrap).collect().await
        });
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        prop_assert_eq!(&sorted, &expected);
        if in_order {
            prop_assert_eq!(&seen, &expected);
        }
        prop_assert!(*most.lock().unwrap() <= max);
        prop_assert_eq!(running.get(), 0);
    }
}
