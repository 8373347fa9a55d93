//! The laws, checked by the core's test kit.

use std::time::Duration;

use plimsoll_concurrency::{ConcurrencyLimit, Order};
use plimsoll_core::{
    ByExtension, Deadlines, Keyed, Missing,
    test_kit::{Contract, KitRequest},
};

#[tokio::test(start_paused = true)]
async fn a_limit_without_a_queue_keeps_the_laws() {
    Contract::new(
        || ConcurrencyLimit::new(3).unwrap(),
        |limit| limit.handle().in_flight() as u64,
    )
    .capacity(3)
    .check_all()
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_queues_keeps_the_laws() {
    Contract::new(
        || {
            ConcurrencyLimit::new(3)
                .unwrap()
                .queue(8, Duration::from_secs(1))
                .unwrap()
        },
        |limit| (limit.handle().in_flight() + limit.handle().queued()) as u64,
    )
    .capacity(3)
    .check_all()
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_with_all_queue_settings_keeps_the_laws() {
    for order in [Order::Fifo, Order::Lifo, Order::AdaptiveLifo] {
        Contract::new(
            move || {
                ConcurrencyLimit::new(3)
                    .unwrap()
                    .queue(8, Duration::from_secs(1))
                    .unwrap()
                    .order(order)
                    .priorities(ByExtension)
                    .deadlines(Deadlines::new())
                    .service_time(Duration::from_millis(5))
                    .unwrap()
                    .controlled_delay(Duration::from_millis(5), Duration::from_millis(100))
                    .unwrap()
            },
            |limit| (limit.handle().in_flight() + limit.handle().queued()) as u64,
        )
        .capacity(3)
        .check_all()
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_per_key_keeps_the_laws() {
    let make = || {
        let each = ConcurrencyLimit::new(3)
            .unwrap()
            .queue(8, Duration::from_secs(1))
            .unwrap();
        let key = |_: &KitRequest| Some(1_u8);
        each.per_key(key, Missing::Share, 512).unwrap()
    };
    let spent = |keyed: &Keyed<_, ConcurrencyLimit>| {
        let of_key = keyed.handle().with_cell(1_u8, |cell| {
            cell.handle().in_flight() + cell.handle().queued()
        });
        of_key.unwrap_or(0) as u64
    };
    Contract::new(make, spent).capacity(3).check_all().await;
}
