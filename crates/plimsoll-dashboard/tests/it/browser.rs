//! The page in a real browser, over a board with load.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use axum::Router;
use plimsoll_dashboard::Dashboard;
use tokio::{net::TcpListener, time::sleep};

use crate::{chromium::Page, demo};

/// The folder of the pictures, which are kept as build artefacts.
fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    target.join("board")
}

async fn serve(board: Dashboard) -> SocketAddr {
    let app = Router::new().nest("/plimsoll", board.router().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_the_board_at_two_widths_dark_and_light() {
    let (_metrics, board) = demo::start().unwrap();
    let addr = serve(board).await;
    let mut page = Page::open(&format!("http://{addr}/plimsoll")).await;
    page.until("document.querySelectorAll('.card').length === 5")
        .await;
    sleep(Duration::from_secs(25)).await;
    for (width, scheme) in [
        (1280, "light"),
        (1280, "dark"),
        (390, "light"),
        (390, "dark"),
    ] {
        page.shape(width, scheme).await;
        let fits = "document.documentElement.scrollWidth <= innerWidth";
        page.until(fits).await;
        let name = format!("board-{width}-{scheme}.png");
        page.screenshot(&pictures().join(name), width == 390).await;
        page.eval("document.querySelector('[data-level=bad] .open, .open').click()")
            .await;
        page.until("document.querySelector('dialog').open").await;
        page.until(fits).await;
        let name = format!("detail-{width}-{scheme}.png");
        page.screenshot(&pictures().join(name), false).await;
        page.eval("document.querySelector('dialog').close()").await;
    }
    assert_eq!(page.complaints, <[String; 0]>::default());
}
