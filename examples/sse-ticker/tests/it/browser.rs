//! The page in headless Chromium, which `cargo xtask test` installs.

use std::{net::SocketAddr, time::Duration};

use proofs::chromium::launch;
use sse_ticker::Ticker;
use tempfile::TempDir;
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use crate::start;

/// A machine that is busy needs several times as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens a page. The browser ends when it is dropped.
fn open(addr: SocketAddr, page: &str) -> (Child, TempDir) {
    let profile = tempfile::tempdir().unwrap();
    let child = launch(profile.path(), &format!("http://{addr}{page}"));
    (child, profile)
}

async fn until(what: &str, ticker: &Ticker, mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let so = timeout(PATIENCE, so).await;
    assert!(so.is_ok(), "{what}: {:?}", ticker.prices.counters());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_acknowledges_and_keeps_up() {
    let (ticker, addr) = start().await;
    let (browser, _profile) = open(addr, "/");
    // Far beyond the window of 100: the page acknowledges.
    until("600 events", &ticker, || {
        ticker.prices.counters().hub.delivered >= 600
    })
    .await;
    let counters = ticker.prices.counters();
    assert!(counters.acks >= 20, "{counters:?}");
    assert_eq!(counters.rejected_acks, 0, "{counters:?}");
    drop(browser);
    until("the client is gone", &ticker, || {
        ticker.prices.counters().clients == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_tab_is_moved_to_polling_and_comes_back_by_itself() {
    let (ticker, addr) = start().await;
    let (_browser, _profile) = open(addr, "/?slow");
    until("a pause", &ticker, || ticker.prices.counters().pauses > 0).await;
    until("moved", &ticker, || ticker.prices.counters().moved_slow > 0).await;
    // An `EventSource` that had got an error status would never come back.
    until("polls", &ticker, || {
        ticker.prices.counters().polled_streams >= 2
    })
    .await;
    assert!(ticker.prices.counters().hub.replay_hits >= 2);
}
