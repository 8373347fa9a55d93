//! The laws, held against limits that move.

use plimsoll_concurrency::{Adaptive, Aimd, Algorithm as _, ConcurrencyLimit};
use plimsoll_core::{ByExtension, Deadlines, test_kit::Contract};

fn spent<D, R>(limit: &ConcurrencyLimit<D, R>) -> u64 {
    (limit.handle().in_flight() + limit.handle().queued()) as u64
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_finds_itself_keeps_the_laws() {
    let first = Adaptive::new().initial() as usize;
    Contract::new(ConcurrencyLimit::adaptive, spent)
        .capacity(first)
        .check_all()
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_finds_itself_and_queues_by_priority_and_deadline_keeps_the_laws() {
    let first = Adaptive::new().initial() as usize;
    let make = || {
        ConcurrencyLimit::adaptive()
            .queue(8, crate::MS * 1000)
            .unwrap()
            .priorities(ByExtension)
            .deadlines(Deadlines::new())
    };
    Contract::new(make, spent).capacity(first).check_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_an_algorithm_moves_keeps_the_laws() {
    let make = || {
        let aimd = Aimd::builder().limits(3, 1..=100).build().unwrap();
        ConcurrencyLimit::with_algorithm(aimd)
            .unwrap()
            .queue(8, crate::MS * 1000)
            .unwrap()
    };
    Contract::new(make, spent).capacity(3).check_all().await;
}
