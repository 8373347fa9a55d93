//! Pictures of the page, which are kept as build artefacts in `target/board`.

use std::{path::PathBuf, time::Duration};

use plimsoll_core::{
    Class, Kind,
    figures::{IN_USE, LIMIT},
};
use plimsoll_dashboard::Dashboard;
use plimsoll_metrics::Metrics;
use proofs::chromium::Page;
use tokio::time::{interval, sleep};

use crate::{
    browser::serve,
    demo,
    support::{Policy, call, reject},
};

/// Whether all of the page is in the width of the window.
const FITS: &str = "document.documentElement.scrollWidth <= innerWidth";

fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    target.join("board")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_the_board_at_two_widths_dark_and_light() {
    let (_metrics, board) = demo::start().unwrap();
    let addr = serve(board).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until("document.querySelectorAll('.card').length === 5")
        .await;
    // A longer time gives fuller pictures: `BOARD_SECONDS=62`.
    let seconds = std::env::var("BOARD_SECONDS").map_or(15, |text| text.parse().unwrap());
    sleep(Duration::from_secs(seconds)).await;
    for (width, scheme) in [
        (1280, "light"),
        (1280, "dark"),
        (390, "light"),
        (390, "dark"),
    ] {
        page.shape(width, scheme).await;
        page.until(FITS).await;
        let name = format!("board-{width}-{scheme}.png");
        page.screenshot(&folder().join(name), width == 390).await;
        let open = "[...document.querySelectorAll('.open')].find(name => name.textContent === 'checkout').click()";
        page.eval(open).await;
        page.until("document.querySelector('dialog').open").await;
        page.until(FITS).await;
        let name = format!("detail-{width}-{scheme}.png");
        page.screenshot(&folder().join(name), false).await;
        page.eval("document.querySelector('dialog').close()").await;
    }
    assert_eq!(page.complaints, <[String; 0]>::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_gates_are_shown_and_their_cards_fit() {
    let metrics = Metrics::new();
    for at in 0..50_u64 {
        let name = format!("service-{at:02}");
        let gate = metrics.gate(name.clone());
        if at % 3 == 0 {
            let figures = [(&LIMIT, 20.0 + at as f64), (&IN_USE, at as f64)];
            metrics
                .watch(name, Policy::new("concurrency", &figures))
                .unwrap();
        }
        tokio::spawn(async move {
            let mut timer = interval(Duration::from_millis(100));
            loop {
                timer.tick().await;
                (0..at % 7 * 5).for_each(|call_at| call(&gate, Class::Success, 1 + call_at));
                (0..at % 11 / 10 * 9).for_each(|_| reject(&gate, "concurrency", Kind::Full));
            }
        });
    }
    let addr = serve(Dashboard::new(&metrics)).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until("document.querySelectorAll('.card').length === 50")
        .await;
    sleep(Duration::from_secs(5)).await;
    page.shape(1280, "light").await;
    page.until(FITS).await;
    page.screenshot(&folder().join("fifty-1280-light.png"), true)
        .await;
    assert_eq!(page.complaints, <[String; 0]>::default());
}
