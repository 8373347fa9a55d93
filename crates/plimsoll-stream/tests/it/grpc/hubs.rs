//! Response streams over subscribers of a hub.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use plimsoll_stream::{
    Cursor, Delivery, Hub, LagPolicy,
    grpc::{Responses, Windows, gaps},
};
use tonic::{Code, Status, transport::Server};
use tonic_types::StatusExt;

use super::fixture::{Client, Count, Msg, message, read, read_all, serve, settled, until};

/// Items that the hub keeps.
const KEPT: usize = 256;
/// Messages that a client which reads nothing takes: its window, and two chunks of tonic's encoder.
const BOUND: usize = 128 + 2 * 33;

fn hub<T>(capacity: usize) -> Hub<T> {
    Hub::builder(capacity).ttl(None).epoch(7).build().unwrap()
}

/// Serves a hub, with what was taken from it.
async fn ticker(policy: LagPolicy) -> (std::net::SocketAddr, Hub<Msg>, Count) {
    let (hub, taken) = (hub::<Msg>(KEPT), Count::default());
    let (served, counted) = (hub.clone(), taken.clone());
    let server = Windows::default().server(Server::builder());
    let addr = serve(server, move |_, _| {
        let subscription = served.subscriber().policy(policy).subscribe()?;
        let taken = counted.clone();
        let responses = Responses::from_hub(subscription, move |delivery| {
            taken.add();
            gaps::data_loss(delivery)
        });
        Ok(responses.boxed())
    })
    .await;
    (addr, hub, taken)
}

/// Publishes at the pace of the clients that read.
async fn publish(hub: &Hub<Msg>, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs {
        assert_eq!(hub.publish(message(seq)).unwrap().seq, seq);
        if seq % 50 == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_subscriber_that_is_too_slow_ends_with_resource_exhausted_and_when_to_retry() {
    let (addr, hub, taken) = ticker(LagPolicy::Disconnect).await;
    let client = Client::connect(addr).await;
    let mut slow = client.call("/").await.unwrap();
    let mut neighbours = [
        client.call("/").await.unwrap(),
        Client::connect(addr).await.call("/").await.unwrap(),
    ];
    until("three subscribers", || hub.subscribers() == 3).await;

    let [one, two] = &mut neighbours;
    let ((), one, two) = tokio::join!(publish(&hub, 1..=2_000), read(one, 2_000), read(two, 2_000));
    assert!(
        one.into_iter().eq(1..=2_000),
        "a neighbour on the connection is unmoved"
    );
    assert!(
        two.into_iter().eq(1..=2_000),
        "a neighbour on another connection is unmoved"
    );
    assert!(hub.len() <= KEPT + 32, "{}", hub.len());
    let taken = settled(|| taken.get()).await - 4_000;
    assert!((128..=BOUND).contains(&taken), "{taken}");

    let (seqs, status) = read_all(&mut slow).await;
    assert!(
        seqs.iter().copied().eq(1..=taken as u64),
        "all that was taken, and nothing else"
    );
    let status = status.expect("it was too slow");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "the client is too slow");
    let delay = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    let spread = Duration::from_secs(1)..=Duration::from_secs(3);
    assert!(spread.contains(&delay), "{delay:?}");
    let metadata = |key: &str| {
        status
            .metadata()
            .get(key)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    let pushback = metadata("grpc-retry-pushback-ms").parse::<u128>().unwrap();
    assert_eq!(pushback, delay.as_millis());
    assert_eq!(metadata("plimsoll-lag"), (2_000 - taken).to_string());
    assert!(
        status.metadata().get("plimsoll-rejected-by").is_none(),
        "something was run"
    );
    assert_eq!((hub.subscribers(), hub.counters().disconnected), (2, 1));

    // The client comes back with the cursor in the status.
    let cursor: Cursor = metadata("plimsoll-cursor").parse().unwrap();
    assert_eq!(
        cursor,
        Cursor {
            epoch: 7,
            seq: taken as u64
        }
    );
}

#[tokio::test]
async fn a_subscriber_that_skips_ends_with_data_loss_at_the_gap() {
    let (addr, hub, _) = ticker(LagPolicy::Skip).await;
    let client = Client::connect(addr).await;
    let mut slow = client.call("/").await.unwrap();
    until("a subscriber", || hub.subscribers() == 1).await;
    publish(&hub, 1..=2_000).await;
    let (seqs, status) = read_all(&mut slow).await;
    let sent = seqs.len() as u64;
    assert!(seqs.into_iter().eq(1..=sent));
    let status = status.unwrap();
    assert_eq!(status.code(), Code::DataLoss);
    let metadata = |key: &str| {
        status
            .metadata()
            .get(key)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(metadata(gaps::FROM), (sent + 1).to_string());
    assert_eq!(metadata(gaps::TO), (2_000 - KEPT as u64).to_string());
    assert_eq!(metadata(gaps::REASON), "oldest");
    let cursor = Cursor {
        epoch: 7,
        seq: 2_000 - KEPT as u64,
    };
    assert_eq!(metadata("plimsoll-cursor"), cursor.to_string());
    until("no subscriber", || hub.subscribers() == 0).await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_place_wherever_it_is() {
    let (addr, hub, _) = ticker(LagPolicy::Skip).await;
    let client = Client::connect(addr).await;
    for published in [0, 10, 1_000] {
        let first = hub.cursor().seq + 1;
        let answers = client.call("/").await.unwrap();
        until("a subscriber", || hub.subscribers() == 1).await;
        if published > 0 {
            publish(&hub, first..=first + published - 1).await;
        }
        drop(answers);
        until("no subscriber", || hub.subscribers() == 0).await;
    }
}

#[tokio::test]
async fn the_end_of_the_hub_is_the_end_of_the_stream() {
    let (addr, hub, _) = ticker(LagPolicy::Skip).await;
    let client = Client::connect(addr).await;
    let mut answers = client.call("/").await.unwrap();
    until("a subscriber", || hub.subscribers() == 1).await;
    publish(&hub, 1..=3).await;
    hub.close();
    assert_eq!(read_all(&mut answers).await.0, [1, 2, 3]);
    let status = client.call("/").await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "the hub is closed")
    );
}

#[tokio::test]
async fn a_full_hub_is_unavailable_and_says_when_to_retry() {
    let hub = Hub::<u64>::builder(8).max_subscribers(1).build().unwrap();
    let first = hub.subscribe().unwrap();
    let full = Status::from(hub.subscribe().unwrap_err());
    assert_eq!(
        (full.code(), full.message()),
        (Code::Unavailable, "too many subscribers")
    );
    assert!(full.get_details_retry_info().unwrap().retry_delay.unwrap() >= Duration::from_secs(1));
    drop(first);
    let error = Status::from(hub.subscriber().max_lag(9).subscribe().unwrap_err());
    assert_eq!(error.code(), Code::Internal);
}

type Seen = Result<(u64, u64), Status>;

/// What a subscriber with this cursor sees at first.
fn resumed(hub: &Hub<u64>, epoch: u64, seq: u64) -> Option<Seen> {
    let cursor = Cursor { epoch, seq };
    let subscription = hub.subscriber().after(cursor).subscribe().unwrap();
    let mut responses = Responses::from_hub(subscription, |delivery| match delivery {
        Delivery::Item { seq, item } => Ok((seq, item)),
        Delivery::Gap(gap) => Err(gaps::status(Code::OutOfRange, gap)),
    });
    responses.next().now_or_never().flatten()
}

#[test]
fn a_cursor_continues_or_the_client_is_told() {
    let hub = hub::<u64>(4);
    for item in 0..10 {
        hub.publish(item * 11).unwrap();
    }
    // It keeps 7 to 10.
    assert_eq!(resumed(&hub, 7, 8).unwrap().unwrap(), (9, 88));
    assert_eq!(resumed(&hub, 7, 6).unwrap().unwrap(), (7, 66));
    assert!(resumed(&hub, 7, 10).is_none(), "waits for the next");

    let old = resumed(&hub, 7, 3).unwrap().unwrap_err();
    assert_eq!(old.code(), Code::OutOfRange);
    let metadata = |status: &Status, key: &str| {
        let value = status.metadata().get(key).unwrap();
        value.to_str().unwrap().to_owned()
    };
    assert_eq!(
        (metadata(&old, gaps::FROM), metadata(&old, gaps::TO)),
        ("4".into(), "6".into())
    );
    assert_eq!(
        metadata(&old, "plimsoll-cursor"),
        Cursor { epoch: 7, seq: 6 }.to_string()
    );

    for (epoch, seq, reason) in [
        (8, 8, "unknown_epoch"),
        (8, 3, "unknown_epoch"),
        (7, 11, "not_published"),
    ] {
        let status = resumed(&hub, epoch, seq).unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Aborted);
        assert_eq!(metadata(&status, "plimsoll-reset"), reason);
        let from_there: Cursor = metadata(&status, "plimsoll-cursor").parse().unwrap();
        assert_eq!(
            resumed(&hub, from_there.epoch, from_there.seq)
                .unwrap()
                .unwrap(),
            (7, 66)
        );
    }
}
