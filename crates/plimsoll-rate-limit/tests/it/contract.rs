//! The laws, checked by the test kit.

use plimsoll_core::{Missing, test_kit::Contract};
use plimsoll_rate_limit::{Quota, RateLimit};
use tokio::time::Instant;

use crate::limit;

const QUOTA: Quota = Quota::per_minute(60).burst(5);

#[tokio::test(start_paused = true)]
async fn a_limit_keeps_the_contract() {
    Contract::new(|| limit(QUOTA), |limit| 5 - limit.available(Instant::now()))
        .capacity(5)
        .consumes()
        .check_all()
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_per_key_keeps_the_contract() {
    let key = |_: &http::Request<()>| Some("one key");
    let make = move || {
        RateLimit::new(QUOTA)
            .expect("valid")
            .per_key(key, Missing::Share, 100)
            .expect("valid")
    };
    Contract::new(make, |limit| {
        let left = limit.handle().available("one key", Instant::now());
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
