//! A browser watches the board of the ad server during a storm, and its counts are the generator's.

use std::{path::PathBuf, time::Duration};

use proofs::chromium::Page;
use serde_json::Value;

use crate::served::Served;

/// The pictures are kept as build artefacts.
fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")),
        PathBuf::from,
    );
    target.join("board")
}

/// The number in the page's totals.
fn total(name: &str) -> String {
    format!(
        "Number(document.querySelector('[data-total={name}] .value').textContent.replaceAll(',', ''))"
    )
}

/// The card of a gate.
fn card(gate: &str) -> String {
    format!(
        "[...document.querySelectorAll('.card')].find(card => card.querySelector('.open').textContent === '{gate}')"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_board_shows_the_storm_and_its_counts_are_those_of_the_generator() {
    let json = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("storm.json");
    _ = std::fs::remove_file(&json);
    let served = Served::start(&[
        "--phases=3x,slow bidder",
        "--seconds=6",
        "--rounds=1",
        &format!("--json={}", json.display()),
    ]);
    let mut page = Page::open(&format!("http://{}/plimsoll", served.address)).await;
    page.until("document.querySelectorAll('.card').length === 5")
        .await;
    page.until(&format!("{} > 100", total("rejected"))).await;
    page.until(&format!(
        "{}.querySelector('.because').textContent.startsWith('Limit changed')",
        card("auction")
    ))
    .await;
    // The slow bidder's circuit opens.
    page.until(&format!(
        "!!{}.querySelector('.states [data-state=open]')",
        card("bidder-ada")
    ))
    .await;
    for scheme in ["light", "dark"] {
        for width in [1280, 390] {
            page.shape(width, scheme).await;
            let file = pictures().join(format!("adserver-{width}-{scheme}.png"));
            page.screenshot(&file, width < 500).await;
        }
    }

    // The last request has ended, and a second later the board has its count.
    served.wait_for("no more load", Duration::from_secs(60));
    let text = std::fs::read_to_string(&json).unwrap();
    let counts = &serde_json::from_str::<Value>(&text).unwrap()["total"];
    let count = |of: &Value| of.as_u64().unwrap();
    let rejected: u64 = counts["refused"]
        .as_object()
        .unwrap()
        .values()
        .map(count)
        .sum();
    // A client that gave up has not seen whether its auction or its three bids were rejected.
    let unseen = 4 * (count(&counts["late"]) + count(&counts["failed"]));
    let shown = total("rejected");
    page.until(&format!(
        "{shown} >= {rejected} && {shown} <= {}",
        rejected + unseen
    ))
    .await;
    assert_eq!(page.complaints, Vec::<String>::new());
}
