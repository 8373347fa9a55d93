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
    let make = move || RateLimit::keyed(QUOTA, key, Missing::Share, 100).expect("valid");
    Contract::new(make, |limit| {
        let left = limit.handle().available("everybody", Instant::now());
        5 - left.unwrap_or(5)
    })
    .capacity(5)
    .consumes()
    .check_all()
    .await;
}

#[tokio::test(start_paused = true)]
async fn several_quotas_keep_the_contract() {
    let quotas = [
        QUOTA,
        Quota::per_calendar_day(7),
        Quota::per_hour(6).sliding_window(),
    ];
    let make = move || RateLimit::all(quotas).expect("valid");
    Contract::new(make, |limit| 5 - limit.available(Instant::now()))
        .capacity(5)
        .consumes()
        .check_all()
        .await;
}
