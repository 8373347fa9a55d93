//! Many streams on one connection: reset at once (rapid reset, CVE-2023-44487), or kept open.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use plimsoll::{
    ClientIp, GateLayer, Missing,
    concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle},
};

use crate::{
    http2::{self, Connection},
    support::{ask, head, routes, send, serve, status, until},
};

/// Streams that are opened and reset in one write.
const BATCH: u32 = 10;

/// Odd numbers: the stream identifiers of a client.
fn streams(from: u32, count: u32) -> impl Iterator<Item = u32> {
    (from..from + count).map(|n| 2 * n + 1)
}

fn opened(streams: impl Iterator<Item = u32>) -> Vec<u8> {
    streams
        .flat_map(|stream| http2::get(stream, "/hang"))
        .collect()
}

fn opened_and_reset(streams: impl Iterator<Item = u32>) -> Vec<u8> {
    streams
        .flat_map(|stream| [http2::get(stream, "/hang"), http2::reset(stream)].concat())
        .collect()
}

async fn released(limit: &ConcurrencyLimitHandle) {
    until("all slots are free", || limit.in_flight() == 0).await;
}

#[tokio::test]
async fn a_thousand_streams_that_are_reset_at_once_hold_no_slot() {
    // One slot more than a batch, for one other caller.
    let limit = ConcurrencyLimit::new(BATCH as usize + 1).unwrap();
    let handle = limit.handle();
    let (app, started) = routes();
    let addr = serve(app.layer(GateLayer::new(limit))).await;
    let mut attacker = Connection::open(addr, 1).await;
    for batch in 0..100 {
        let bytes = opened_and_reset(streams(batch * BATCH, BATCH));
        attacker.send(&bytes).await.unwrap();
        assert_eq!(
            ask(addr, 2).await,
            200,
            "another caller is served, batch {batch}"
        );
        attacker.ping().await;
        released(&handle).await;
    }
    assert_eq!(started.load(SeqCst), 1_000, "each of them took a slot");
    assert_eq!(handle.rejected(), 0);
}

#[tokio::test]
async fn a_hundred_resets_in_one_write_end_the_connection_and_free_all_slots() {
    let limit = ConcurrencyLimit::new(8).unwrap();
    let handle = limit.handle();
    let (app, started) = routes();
    let addr = serve(app.layer(GateLayer::new(limit))).await;
    let mut attacker = Connection::open(addr, 1).await;
    attacker.send(&opened(streams(0, 8))).await.unwrap();
    until("it holds all slots", || handle.in_flight() == 8).await;
    let resets = opened_and_reset(streams(8, 100));
    attacker.send(&resets).await.unwrap();
    assert_eq!(attacker.goes_away().await, Some(http2::ENHANCE_YOUR_CALM));
    released(&handle).await;
    assert_eq!(
        started.load(SeqCst),
        8,
        "none of the hundred reached the gate"
    );
    assert_eq!(ask(addr, 2).await, 200);
}

/// Opens 200 streams, hyper's maximum per connection, to a service with a limit of 100. Returns how
/// many slots they hold, and the status that another caller gets meanwhile.
async fn kept_streams(reject_as_over_quota: usize) -> (usize, u16) {
    let each = ConcurrencyLimit::new(reject_as_over_quota)
        .unwrap()
        .reject_as_over_quota();
    let per_client = each
        .per_key(ClientIp::peer(), Missing::Share, 1_000)
        .unwrap();
    let limit = ConcurrencyLimit::new(100).unwrap();
    let handle = limit.handle();
    let (app, _) = routes();
    let addr = serve(app.layer(GateLayer::new((per_client, limit)))).await;
    let mut attacker = Connection::open(addr, 1).await;
    attacker.send(&opened(streams(0, 200))).await.unwrap();
    attacker.ping().await;
    let expected = reject_as_over_quota.min(100);
    until("they hold slots", || handle.in_flight() == expected).await;
    let other = ask(addr, 2).await;
    let held = handle.in_flight();
    drop(attacker);
    released(&handle).await;
    (held, other)
}

#[tokio::test]
async fn a_limit_per_caller_bounds_what_the_streams_of_one_connection_hold() {
    assert_eq!(kept_streams(8).await, (8, 200));
    // Control: a limit per caller above the limit of the service.
    assert_eq!(kept_streams(1_000).await, (100, 503));
}

/// The same 200 streams to a service with four slots and a queue of 100. Returns the slots and the
/// queue places that they hold, and the status of another caller.
async fn held_and_queued(reject_as_over_quota: usize) -> ((usize, usize), u16) {
    let each = ConcurrencyLimit::new(reject_as_over_quota)
        .unwrap()
        .reject_as_over_quota();
    let per_client = each
        .per_key(ClientIp::peer(), Missing::Share, 1_000)
        .unwrap();
    let limit = ConcurrencyLimit::new(4).unwrap();
    let limit = limit.queue(100, Duration::from_secs(60)).unwrap();
    let handle = limit.handle();
    let (app, _) = routes();
    let addr = serve(app.layer(GateLayer::new((per_client, limit)))).await;
    let mut attacker = Connection::open(addr, 1).await;
    attacker.send(&opened(streams(0, 200))).await.unwrap();
    attacker.ping().await;
    let expected = (4, reject_as_over_quota.min(104) - 4);
    let held = || (handle.in_flight(), handle.queued());
    until("they hold slots and places", || held() == expected).await;
    let held = held();
    if held.1 == 100 {
        return (held, ask(addr, 2).await);
    }
    // The other caller is queued, and served after the streams are gone.
    let mut other = send(addr, 2, head("/", "").as_bytes()).await;
    until("it is queued", || handle.queued() == held.1 + 1).await;
    drop(attacker);
    (held, status(&mut other).await)
}

#[tokio::test]
async fn a_limit_per_caller_bounds_its_places_in_the_queue() {
    assert_eq!(held_and_queued(8).await, ((4, 4), 200));
    // Control: a limit per caller above the limit and its queue.
    assert_eq!(held_and_queued(1_000).await, ((4, 100), 503));
}
