//! Credit that a client sends.

use std::net::SocketAddr;

use futures_util::{FutureExt, StreamExt, stream};
use plimsoll_stream::{
    Hub,
    grpc::{Credit, Responses, Windows, credited, gaps},
};
use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status, Streaming, transport::Server};

use super::{
    super::Task,
    fixture::{Client, Count, Msg, message, read, read_all, serve, settled, small, until},
    relay::Relay,
};

/// The number of a client's message is its credit.
fn on_message(Msg { seq, .. }: Msg, credit: &Credit) -> Result<(), Status> {
    Ok(credit.request(seq)?)
}

/// A client that sends credit, and its answers.
async fn open(client: &Client) -> (mpsc::UnboundedSender<Msg>, Streaming<Msg>) {
    let (sender, messages) = mpsc::unbounded_channel();
    let answers = client
        .stream("/", UnboundedReceiverStream::new(messages))
        .await;
    (sender, answers.unwrap())
}

/// Endless messages with credit; counts what was sent, and the streams.
async fn endless() -> (SocketAddr, Count, Count) {
    let (sent, open) = (Count::default(), Count::default());
    let counts = (sent.clone(), open.clone());
    let server = Windows::default().server(Server::builder());
    let addr = serve(server, move |_, messages| {
        let held = counts.1.hold();
        let responses = counts.0.messages(1 << 40).map(move |message| {
            let _: &super::fixture::Held = &held;
            Ok(message)
        });
        Ok(credited(messages, on_message, responses).boxed())
    })
    .await;
    (addr, sent, open)
}

#[tokio::test]
async fn as_many_messages_are_sent_as_the_client_has_requested() {
    let (addr, sent, open_streams) = endless().await;
    let client = Client::connect(addr).await;
    let (credit, mut answers) = open(&client).await;
    assert_eq!(settled(|| sent.get()).await, 0);
    let mut total = 0;
    for n in [1, 2, 40, 3, 900] {
        credit.send(small(n)).unwrap();
        assert!(
            read(&mut answers, n as usize)
                .await
                .into_iter()
                .eq(total..total + n)
        );
        total += n;
        assert_eq!(settled(|| sent.get()).await as u64, total, "and no more");
    }
    for _ in 0..10 {
        credit.send(small(1)).unwrap();
    }
    read(&mut answers, 10).await;
    assert_eq!(settled(|| sent.get()).await as u64, total + 10);
    drop(credit);
    let (seqs, status) = read_all(&mut answers).await;
    assert!(
        seqs.is_empty() && status.is_none(),
        "the end of the client's stream is the end"
    );
    until("the stream is dropped", || open_streams.get() == 0).await;
}

#[tokio::test]
async fn a_request_for_no_message_breaks_the_protocol() {
    let (addr, _, open_streams) = endless().await;
    let client = Client::connect(addr).await;
    let (credit, mut answers) = open(&client).await;
    credit.send(small(2)).unwrap();
    read(&mut answers, 2).await;
    credit.send(small(0)).unwrap();
    let status = read_all(&mut answers).await.1.unwrap();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        status.message(),
        "request must be at least 1 message, got 0"
    );
    until("the stream is dropped", || open_streams.get() == 0).await;
}

#[tokio::test]
async fn unbounded_credit_is_bounded_by_the_window() {
    let (addr, sent, _) = endless().await;
    let client = Client::connect(addr).await;
    let (credit, mut answers) = open(&client).await;
    for _ in 0..3 {
        credit.send(small(u64::MAX)).unwrap();
    }
    let stopped = settled(|| sent.get()).await;
    assert!((128..=128 + 2 * 33).contains(&stopped), "{stopped}");
    assert!(read(&mut answers, 1_000).await.into_iter().eq(0..1_000));
}

#[tokio::test]
async fn a_flood_of_credit_closes_the_window_of_the_client_that_sends_it() {
    let (addr, sent, open_streams) = endless().await;
    let relay = Relay::to(addr).await;
    let client = Client::connect(relay.addr).await;
    let (credit, answers) = open(&client).await;
    let taken = Count::default();
    let counted = taken.clone();
    let flood = stream::repeat(small(u64::MAX)).inspect(move |_| {
        counted.add();
    });
    let flooded = client.stream("/", flood).await.unwrap();
    let stopped = settled(|| taken.get()).await;
    // The window and two chunks of the encoder, in messages of 16 bytes, and 32 for each answer.
    let bound = ((128 << 10) + 2 * (33 << 10)) / 16 + 32 * (128 + 2 * 33);
    assert!(stopped <= bound, "{stopped}");
    assert!(settled(|| sent.get()).await <= 128 + 2 * 33);

    credit.send(small(500)).unwrap();
    let mut answers = answers;
    read(&mut answers, 500).await;
    relay.cut();
    until("the streams are dropped", || open_streams.get() == 0).await;
    drop(flooded);
}

/// tonic's client cancels a call when both of its streams are dropped.
#[tokio::test]
async fn a_client_that_leaves_frees_its_place_wherever_it_is() {
    let (addr, _, open_streams) = endless().await;
    let client = Client::connect(addr).await;
    for (n, read_before) in [
        (None, 0),
        (Some(10), 5),
        (Some(10), 10),
        (Some(u64::MAX), 0),
    ] {
        let (credit, mut answers) = open(&client).await;
        if let Some(n) = n {
            credit.send(small(n)).unwrap();
        }
        read(&mut answers, read_before).await;
        assert_eq!(open_streams.get(), 1);
        drop((credit, answers));
        until("the stream is dropped", || open_streams.get() == 0).await;
    }
}

#[tokio::test]
async fn a_hub_does_not_wait_for_credit() {
    let hub = Hub::<Msg>::builder(1_000).ttl(None).build().unwrap();
    let served = hub.clone();
    let addr = serve(Server::builder(), move |_, messages| {
        let ticks = Responses::from_hub(served.subscribe()?, gaps::data_loss);
        Ok(credited(messages, on_message, ticks).boxed())
    })
    .await;
    let (credit, mut answers) = open(&Client::connect(addr).await).await;
    until("a subscriber", || hub.subscribers() == 1).await;
    for seq in 1..=1_500 {
        hub.publish(message(seq)).unwrap();
    }
    credit.send(small(1)).unwrap();
    let status = read_all(&mut answers).await.1.unwrap();
    assert_eq!(status.code(), Code::DataLoss, "the gap is announced");
}

#[test]
fn a_gate_wakes_for_credit_for_items_and_for_the_cancellation() {
    let (items, source) = mpsc::unbounded_channel();
    let credit = Credit::new();
    let mut gate = credit.gate(UnboundedReceiverStream::new(source));
    items.send(1).unwrap();
    {
        let mut next = Task::new(gate.next());
        assert!(next.poll().is_pending());
        credit.request(2).unwrap();
        assert_eq!(next.woken(), 1);
        assert_eq!(next.poll(), std::task::Poll::Ready(Some(1)));
    }
    {
        let mut next = Task::new(gate.next());
        assert!(next.poll().is_pending(), "credit, and no item");
        items.send(2).unwrap();
        assert_eq!(next.woken(), 1);
        assert_eq!(next.poll(), std::task::Poll::Ready(Some(2)));
    }
    for outstanding in [0, 5] {
        let credit = Credit::new();
        if outstanding > 0 {
            credit.request(outstanding).unwrap();
        }
        let mut gate = credit.gate(stream::pending::<u8>());
        let mut next = Task::new(gate.next());
        assert!(next.poll().is_pending());
        assert!(credit.cancel());
        assert!(next.woken() >= 1, "{outstanding}");
        assert_eq!(next.poll(), std::task::Poll::Ready(None));
    }
}

#[test]
fn credit_saturates_and_zero_is_an_error_that_changes_nothing() {
    let credit = Credit::new();
    credit.request(3).unwrap();
    assert!(credit.request(0).is_err());
    assert_eq!(credit.outstanding(), 3);
    credit.request(u64::MAX - 1).unwrap();
    assert_eq!(credit.outstanding(), Credit::UNBOUNDED);
    let mut gate = credit.gate(stream::repeat(1));
    for _ in 0..10 {
        assert_eq!(gate.next().now_or_never(), Some(Some(1)));
    }
    assert_eq!(credit.outstanding(), Credit::UNBOUNDED, "for good");
    assert!(!credit.is_cancelled());
    assert!(credit.cancel());
    assert!(!credit.cancel());
    assert!(credit.is_cancelled());
    assert_eq!(credit.outstanding(), 0);
    assert!(
        credit.request(0).is_ok(),
        "after the end nothing is checked"
    );
    assert!(credit.request(5).is_ok());
    assert_eq!(
        (credit.outstanding(), gate.next().now_or_never()),
        (0, Some(None))
    );
}

proptest! {
    /// Never more than requested, and all that was requested while there are items.
    #[test]
    fn a_gate_yields_as_many_items_as_were_requested(
        steps in prop::collection::vec((0_u64..10, 0_usize..10), 0..50),
        items in 0_u64..200,
    ) {
        let credit = Credit::new();
        let mut gate = credit.gate(stream::iter(0..items));
        let (mut requested, mut seen, mut ended) = (0, 0, false);
        for (n, polls) in steps {
            prop_assert_eq!(credit.request(n).is_err(), n == 0);
            requested += n;
            for _ in 0..polls {
                match gate.next().now_or_never() {
                    Some(Some(item)) => {
                        prop_assert_eq!(item, seen);
                        seen += 1;
                    }
                    Some(None) => {
                        prop_assert_eq!(seen, items);
                        ended = true;
                        break;
                    }
                    None => {
                        prop_assert_eq!(seen, requested.min(items));
                        break;
                    }
                }
            }
            prop_assert!(seen <= requested);
            prop_assert_eq!(credit.outstanding(), requested - seen);
            if ended {
                break;
            }
        }
    }
}
