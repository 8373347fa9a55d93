//! Calls beside streams that are not read, on one connection.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use plimsoll_stream::grpc::Windows;
use tokio::{sync::Notify, time::timeout};
use tonic::{
    Status, Streaming,
    transport::{Endpoint, Server},
};

use super::fixture::{Client, Count, Msg, PATIENCE, SIZE, read_all, serve, settled, small, until};

const UNREAD: [usize; 8] = [1, 2, 3, 4, 8, 16, 32, 64];
/// Messages of a healthy call: more than fit a window.
const HEALTHY: u64 = 300;
/// Messages without an end.
const ENDLESS: u64 = 1 << 40;

/// `/stream` sends without an end, `/finite` 300 messages, `/upload` counts what it reads, and
/// `/stuck` reads nothing until it is released.
async fn start(server: Server, sent: &Count) -> (SocketAddr, Arc<Notify>) {
    let (sent, release) = (sent.clone(), Arc::<Notify>::default());
    let released = Arc::clone(&release);
    let serving = serve(server, move |path, messages| {
        Ok(match path {
            "/stream" => sent.messages(ENDLESS).map(Ok).boxed(),
            "/finite" => Count::default().messages(HEALTHY).map(Ok).boxed(),
            "/upload" => stream::once(count(messages)).boxed(),
            _ => {
                let released = Arc::clone(&released);
                stream::once(async move {
                    released.notified().await;
                    drop(messages);
                    Ok(small(0))
                })
                .boxed()
            }
        })
    });
    (serving.await, release)
}

async fn count(messages: Streaming<Msg>) -> Result<Msg, Status> {
    Ok(small(messages.count().await as u64))
}

fn endpoint(addr: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{addr}")).unwrap()
}

async fn download(client: &Client) -> usize {
    let mut answers = client.call("/finite").await.unwrap();
    read_all(&mut answers).await.0.len()
}

async fn upload(client: &Client) -> usize {
    let messages = Count::default().messages(HEALTHY);
    let mut answers = client.stream("/upload", messages).await.unwrap();
    read_all(&mut answers).await.0[0] as usize
}

#[tokio::test]
async fn server_streams_that_are_not_read_do_not_stall_a_sibling() {
    let window = Windows::default().stream() as usize / SIZE;
    for unread in UNREAD {
        let sent = Count::default();
        let (addr, _) = start(Windows::default().server(Server::builder()), &sent).await;
        let client = Client::connect(addr).await;
        let mut streams = Vec::new();
        for _ in 0..unread {
            streams.push(client.call("/stream").await.unwrap());
        }
        until("the windows are full", || {
            sent.get() >= unread * (window - 1)
        })
        .await;
        let done = async { (download(&client).await, upload(&client).await) };
        let done = timeout(PATIENCE, done).await;
        assert_eq!(done, Ok((300, 300)), "{unread} unread streams");
        // One chunk of the encoder is behind the window, and one waits.
        let sent = settled(|| sent.get()).await;
        assert!(sent <= unread * (window + 2 * 33), "{sent} for {unread}");
    }
}

#[tokio::test]
async fn uploads_that_are_not_read_do_not_stall_a_sibling() {
    let window = Windows::default().stream() as usize / SIZE;
    for unread in UNREAD {
        let (addr, _) = start(
            Windows::default().server(Server::builder()),
            &Count::default(),
        )
        .await;
        let client = Client::connect(addr).await;
        let taken = Count::default();
        let mut calls = Vec::new();
        for _ in 0..unread {
            calls.push(
                client
                    .stream("/stuck", taken.messages(ENDLESS))
                    .await
                    .unwrap(),
            );
        }
        until("the windows are full", || {
            taken.get() >= unread * (window - 1)
        })
        .await;
        let done = async { (download(&client).await, upload(&client).await) };
        let done = timeout(PATIENCE, done).await;
        assert_eq!(done, Ok((300, 300)), "{unread} unread uploads");
        let taken = settled(|| taken.get()).await;
        assert!(taken <= unread * (window + 2 * 33), "{taken} for {unread}");
    }
}

/// The negative control: without it, a harness that sees no stall proves nothing.
#[tokio::test]
async fn with_the_defaults_three_unread_server_streams_stall_their_siblings() {
    let sent = Count::default();
    let (addr, _) = start(Server::builder(), &sent).await;
    let client = Client::with(endpoint(addr)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(client.call("/stream").await.unwrap());
    }
    until("the window of the connection is full", || {
        sent.get() >= 5 << 10
    })
    .await;
    settled(|| sent.get()).await;
    let stalled = timeout(Duration::from_secs(2), download(&client)).await;
    assert!(
        stalled.is_err(),
        "hyper's defaults have changed: {stalled:?}"
    );
    drop(streams);
    let done = timeout(PATIENCE, download(&client)).await;
    assert_eq!(done, Ok(300), "it was these streams");
}

/// The negative control for uploads.
#[tokio::test]
async fn with_the_defaults_one_unread_upload_stalls_all_uploads() {
    let (addr, release) = start(Server::builder(), &Count::default()).await;
    let client = Client::with(endpoint(addr)).await;
    let taken = Count::default();
    let _call = client
        .stream("/stuck", taken.messages(ENDLESS))
        .await
        .unwrap();
    until("the window of the connection is full", || {
        taken.get() >= 1 << 10
    })
    .await;
    settled(|| taken.get()).await;
    let stalled = timeout(Duration::from_secs(2), upload(&client)).await;
    assert!(
        stalled.is_err(),
        "hyper's defaults have changed: {stalled:?}"
    );
    release.notify_waiters();
    let done = timeout(PATIENCE, upload(&client)).await;
    assert_eq!(done, Ok(300), "it was this upload");
}

/// A leak of the connection's window would stall the connection after enough streams.
#[tokio::test]
async fn streams_that_are_dropped_unread_restore_the_window_of_the_connection() {
    let window = Windows::default().stream() as usize / SIZE;
    let (sent, taken) = (Count::default(), Count::default());
    let (addr, release) = start(Windows::default().server(Server::builder()), &sent).await;
    let client = Client::connect(addr).await;
    for round in 1..=8 {
        let (mut streams, mut calls) = (Vec::new(), Vec::new());
        for _ in 0..32 {
            streams.push(client.call("/stream").await.unwrap());
            calls.push(
                client
                    .stream("/stuck", taken.messages(ENDLESS))
                    .await
                    .unwrap(),
            );
        }
        let full = round * 32 * (window - 1);
        until("the windows are full", || {
            sent.get() >= full && taken.get() >= full
        })
        .await;
        release.notify_waiters();
        for mut call in calls {
            assert_eq!(read_all(&mut call).await.0, [0]);
        }
    }
    let done = async { (download(&client).await, upload(&client).await) };
    assert_eq!(timeout(PATIENCE, done).await, Ok((300, 300)));
}
