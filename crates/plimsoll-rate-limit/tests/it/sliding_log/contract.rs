//! The laws, checked by the test kit.

use std::time::Duration;

use plimsoll_core::{Missing, test_kit::Contract};
use plimsoll_rate_limit::SlidingLog;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_sliding_log_keeps_the_contract() {
    Contract::new(
        || SlidingLog::new(5, MINUTE).expect("valid"),
        |log| 5 - log.available(Instant::now()),
    )
    .capacity(5)
    .consumes()
    .check_all()
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sliding_log_per_key_keeps_the_contract() {
    let key = |_: &http::Request<()>| Some("one key");
    let make = move || {
        let log = SlidingLog::new(5, MINUTE).expect("valid");
        log.per_key(key, Missing::Share, 100).expect("a capacity")
    };
    Contract::new(make, |keyed| {
        let spent = |log: &SlidingLog| 5 - log.available(Instant::now());
        keyed.handle().with_cell("one key", spent).unwrap_or(0)
    })
    .capacity(5)
    .consumes()
    .check_all()
    .await;
}
