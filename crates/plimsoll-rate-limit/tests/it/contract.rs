//! The laws, as the test kit checks them.

use plimsoll_core::{Missing, test_kit::Contract};
use plimsoll_rate_limit::{Quota, RateLimit};
use tokio::time::Instant;

use crate::limit;

const QUOTA: Quota = Quota::per_minute(60).burst(5);

#[tokio::test(start_paused = true)]
async fn global_limit_keeps_the_contract() {
    Contract::new(|| limit(QUOTA), |limit| 5 - limit.available(Instant::now()))
        .capacity(5)
        .consumes()
        .check_all()
        .await;
}

#[tokio::test(start_paused = true)]
async fn keyed_limit_keeps_the_contract() {
    let key = |_: &http::Request<()>| Some("everybody");
    Contract::new(move || RateLimit::keyed(QUOTA, key, Missing::Share, 100).expect("valid"))
        .capacity(5)
        .consumes()
        .check_all()
        .await;
}
