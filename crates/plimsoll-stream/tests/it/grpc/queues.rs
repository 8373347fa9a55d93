//! Response streams over queues.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use plimsoll_stream::{
    BoundedQueue, CloseOnDrop, DropReason, Gap, QueuePolicy, SendError,
    grpc::{ResponseSender, Responses, Windows, gaps},
};
use tonic::{Code, Status, transport::Server};
use tonic_types::StatusExt;

use super::{
    super::queue,
    fixture::{
        Client, Count, SIZE, in_time, message, read, read_all, serve, settled, small, until,
    },
};

/// Items of the queue of each client.
const CAPACITY: usize = 16;
/// Messages that a client which reads nothing takes: its window, two chunks of tonic's encoder, the
/// queue and the one that the producer holds.
const BOUND: usize = (128 << 10) / SIZE + 2 * 33 + CAPACITY + 1;

/// Each call has a producer that blocks. The counts are what all have sent, and how many there are.
async fn blocking(messages: u64) -> (std::net::SocketAddr, Count, Count) {
    let (sent, producers) = (Count::default(), Count::default());
    let counts = (sent.clone(), producers.clone());
    let server = Windows::default().server(Server::builder());
    let addr = serve(server, move |_, _| {
        let queue = queue(CAPACITY, QueuePolicy::BLOCK);
        let (sender, responses) = Responses::channel(queue, gaps::data_loss);
        let (sent, held) = (counts.0.clone(), counts.1.hold());
        tokio::spawn(async move {
            for seq in 0..messages {
                if sender.send(message(seq)).await.is_err() {
                    break;
                }
                sent.add();
            }
            drop(held);
        });
        Ok(responses.boxed())
    })
    .await;
    (addr, sent, producers)
}

#[tokio::test]
async fn the_producer_stops_when_the_client_reads_nothing_and_a_neighbour_is_unmoved() {
    let (addr, sent, producers) = blocking(5_000).await;
    let client = Client::connect(addr).await;
    let mut unread = client.call("/").await.unwrap();
    let stopped = settled(|| sent.get()).await;
    assert!(((128 << 10) / SIZE..=BOUND).contains(&stopped), "{stopped}");

    for neighbour in [client.clone(), Client::connect(addr).await] {
        let (seqs, status) = read_all(&mut neighbour.call("/").await.unwrap()).await;
        assert!(seqs.into_iter().eq(0..5_000) && status.is_none());
    }
    assert_eq!(
        sent.get(),
        stopped + 2 * 5_000,
        "the other producer has not moved"
    );
    assert_eq!(producers.get(), 1);

    let (seqs, status) = read_all(&mut unread).await;
    assert!(
        seqs.into_iter().eq(0..5_000),
        "it goes on from where it was"
    );
    assert!(status.is_none());
}

#[tokio::test]
async fn a_client_that_reads_in_bursts_loses_and_repeats_nothing() {
    let (addr, ..) = blocking(10_000).await;
    let client = Client::connect(addr).await;
    let readers = (1..=4).map(|pace: u64| {
        let client = client.clone();
        async move {
            let mut answers = client.call("/").await.unwrap();
            let mut seqs = Vec::new();
            while seqs.len() < 10_000 {
                let burst = (100 * pace as usize).min(10_000 - seqs.len());
                seqs.extend(read(&mut answers, burst).await);
                tokio::time::sleep(Duration::from_millis(pace)).await;
            }
            assert!(seqs.into_iter().eq(0..10_000));
            assert!(read_all(&mut answers).await.1.is_none());
        }
    });
    futures_util::future::join_all(readers).await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_producer_wherever_it_is() {
    let (addr, sent, producers) = blocking(1 << 40).await;
    let client = Client::connect(addr).await;
    // Before the first message, while it flows, and when the window is full.
    for read_before in [0, 1, 64, 500] {
        let mut answers = client.call("/").await.unwrap();
        read(&mut answers, read_before).await;
        if read_before == 500 {
            settled(|| sent.get()).await;
        }
        assert_eq!(producers.get(), 1);
        drop(answers);
        until("the producer has ended", || producers.get() == 0).await;
    }
    // The connection is gone, while the window of one stream is full and of another is not.
    let mut answers = [
        client.call("/").await.unwrap(),
        client.call("/").await.unwrap(),
    ];
    read(&mut answers[0], 10).await;
    settled(|| sent.get()).await;
    drop((client, answers));
    until("the producers have ended", || producers.get() == 0).await;
}

#[tokio::test]
async fn a_producer_without_an_item_learns_that_the_client_is_gone() {
    let left = Count::default();
    let counted = left.clone();
    let addr = serve(Server::builder(), move |_, _| {
        let (sender, responses) = Responses::channel(queue(1, QueuePolicy::BLOCK), gaps::data_loss);
        let left = counted.clone();
        tokio::spawn(async move {
            sender.send(small(1)).await.unwrap();
            sender.closed().await;
            assert!(matches!(
                sender.send(small(2)).await,
                Err(SendError::Closed(_))
            ));
            left.add();
        });
        Ok(responses.boxed())
    })
    .await;
    let client = Client::connect(addr).await;
    let mut answers = client.call("/").await.unwrap();
    assert_eq!(read(&mut answers, 1).await, [1]);
    assert_eq!(left.get(), 0);
    drop(answers);
    until("the producer was told", || left.get() == 1).await;
}

#[tokio::test]
async fn a_client_that_is_too_slow_gets_what_is_queued_and_when_to_retry() {
    let timeout = Some(Duration::from_millis(300));
    let addr = serve(Server::builder(), move |_, _| {
        let queue = queue(CAPACITY, QueuePolicy::Block { timeout });
        let (sender, responses) = Responses::channel(queue, gaps::data_loss);
        tokio::spawn(async move {
            let mut seq = 0;
            while sender.send(message(seq)).await.is_ok() {
                seq += 1;
            }
        });
        Ok(responses.retry_after(Duration::from_secs(5)).boxed())
    })
    .await;
    let client = Client::connect(addr).await;
    let mut answers = client.call("/").await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let (seqs, status) = read_all(&mut answers).await;
    assert!(seqs.len() <= BOUND && seqs.iter().copied().eq(0..seqs.len() as u64));
    let status = status.expect("it was too slow");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.metadata().get("plimsoll-lag").unwrap(), "16");
    let delay = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!((5..=10).contains(&delay.as_secs()), "{delay:?}");
}

/// Runs a stream without a socket.
async fn collect(responses: Responses<u64>) -> (Vec<u64>, Option<Status>) {
    let results: Vec<_> = responses.collect().await;
    let last = results.last().cloned().and_then(Result::err);
    (results.into_iter().filter_map(Result::ok).collect(), last)
}

/// A queue that has lost 0 and 1, and is closed.
fn with_a_gap() -> BoundedQueue<u64> {
    let queue = queue(2, QueuePolicy::DropOldest);
    for item in 0..4 {
        queue.try_send(item).unwrap();
    }
    queue.close();
    queue
}

#[tokio::test]
async fn a_gap_ends_the_stream_or_becomes_a_message_and_is_never_skipped() {
    for (gap_is, code) in [
        (
            gaps::data_loss as fn(_) -> Result<u64, Status>,
            Code::DataLoss,
        ),
        (gaps::aborted, Code::Aborted),
    ] {
        let (items, status) = collect(Responses::from_queue(with_a_gap(), gap_is)).await;
        let status = status.unwrap();
        assert_eq!((items.len(), status.code()), (0, code));
        assert_eq!(status.message(), "messages 0 to 1 were lost: oldest");
        for (key, value) in [(gaps::FROM, "0"), (gaps::TO, "1"), (gaps::REASON, "oldest")] {
            assert_eq!(status.metadata().get(key).unwrap(), value);
        }
    }
    let told = gaps::message(|gap: Gap| {
        assert_eq!(
            gap,
            Gap {
                from: 0,
                to: 1,
                reason: DropReason::Oldest
            }
        );
        77
    });
    let (items, status) = collect(Responses::from_queue(with_a_gap(), told)).await;
    assert!(status.is_none());
    assert_eq!(items, [77, 2, 3]);
}

#[tokio::test]
async fn a_stream_that_ends_early_closes_its_queue_at_once() {
    let queue = queue(2, QueuePolicy::DropOldest);
    for item in 0..3 {
        queue.try_send(item).unwrap();
    }
    let mut responses = Responses::from_queue(queue.clone(), gaps::data_loss);
    assert!(responses.next().await.unwrap().is_err());
    assert!(queue.is_closed(), "before it is dropped");
    assert!(responses.next().await.is_none(), "one status");
    let dropped = super::super::queue::<u8>(2, QueuePolicy::BLOCK);
    drop(Responses::from_queue(dropped.clone(), gaps::data_loss));
    assert!(dropped.is_closed());
}

#[tokio::test]
async fn the_producer_ends_the_stream_with_a_status_after_what_is_queued() {
    let (sender, responses) = Responses::channel(queue(4, QueuePolicy::BLOCK), gaps::data_loss);
    sender.send(1).await.unwrap();
    assert_eq!(sender.queue().len(), 1);
    sender.end_with(Status::not_found("no more"));
    let (items, status) = collect(responses).await;
    assert_eq!(items, [1]);
    assert_eq!(status.unwrap().code(), Code::NotFound);

    let (sender, responses): (ResponseSender<u64>, _) =
        Responses::channel(queue(4, QueuePolicy::BLOCK), gaps::data_loss);
    sender.send(1).await.unwrap();
    drop(sender);
    let (items, status) = collect(responses).await;
    assert!(items == [1] && status.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_first_reason_to_end_stays() {
    let timeout = Some(Duration::from_secs(1));
    let policy = QueuePolicy::Block { timeout };
    let (sender, responses) = Responses::channel(queue(1, policy), gaps::data_loss);
    sender.send(1).await.unwrap();
    assert!(matches!(
        sender.send(2).await,
        Err(SendError::Timeout { item: 2, .. })
    ));
    assert!(matches!(sender.send(3).await, Err(SendError::Closed(3))));
    sender.end_with(Status::internal("later"));
    let (items, status) = collect(responses).await;
    assert_eq!(items, [1]);
    assert_eq!(status.unwrap().code(), Code::ResourceExhausted);
}

/// Drops the stream after each number of polls.
#[test]
fn dropping_a_stream_loses_nothing_that_another_consumer_can_take() {
    for polls in 0..6 {
        let queue = queue(4, QueuePolicy::BLOCK);
        for item in 0..4_u64 {
            queue.try_send(item).unwrap();
        }
        let mut responses = Responses::from_queue(queue.clone(), gaps::data_loss);
        let seen = (0..polls).filter_map(|_| responses.next().now_or_never().flatten());
        let mut seen: Vec<_> = seen.map(Result::unwrap).collect();
        drop(responses);
        seen.extend(queue.drain());
        assert_eq!(seen, [0, 1, 2, 3]);
    }
}

#[tokio::test]
async fn several_producers_share_a_queue_and_close_it() {
    let queue = queue(2, QueuePolicy::BLOCK);
    let responses = Responses::from_queue(queue.clone(), gaps::data_loss);
    let last = CloseOnDrop::new(queue);
    tokio::spawn(async move {
        let sends = stream::iter(0..100_u64).for_each_concurrent(10, |n| {
            let queue = (*last).clone();
            async move { drop(queue.send(n).await.unwrap()) }
        });
        sends.await;
    });
    let (mut items, status) = in_time("the end", collect(responses)).await;
    items.sort_unstable();
    assert!(items.into_iter().eq(0..100) && status.is_none());
}
