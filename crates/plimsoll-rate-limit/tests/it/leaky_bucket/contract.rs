//! The laws, checked by the test kit. (Not law 5: the kit expects a waiter to be admitted when a
//! request ends; here time admits it, which `queue` checks.)

use plimsoll_core::{
    Missing, Policy,
    test_kit::{Contract, KitRequest},
};
use plimsoll_rate_limit::LeakyBucket;
use tokio::time::Instant;

use crate::ms;

fn bucket() -> LeakyBucket {
    LeakyBucket::new(1, ms(10)).expect("valid")
}

/// Nanoseconds that the next request has to wait.
fn spent(bucket: &LeakyBucket) -> u64 {
    bucket.turn_in(Instant::now()).as_nanos() as u64
}

async fn check<P: Policy<KitRequest> + 'static>(contract: Contract<P>) {
    let contract = contract.capacity(1).consumes();
    contract.law_01_state_is_shared_across_layer_calls().await;
    contract.law_02_the_reader_sees_a_request_in_flight().await;
    contract.law_02_every_permit_ends_exactly_once().await;
    contract.law_02_abandoned_waits_leave_nothing_behind().await;
    contract.law_03_a_rejected_request_has_spent_nothing().await;
    contract.law_04_nothing_is_reserved_in_poll_ready().await;
}

#[tokio::test(start_paused = true)]
async fn a_leaky_bucket_keeps_the_contract() {
    check(Contract::new(bucket, spent)).await;
}

#[tokio::test(start_paused = true)]
async fn a_leaky_bucket_per_key_keeps_the_contract() {
    let key = |_: &KitRequest| Some(1_u8);
    let make = move || bucket().per_key(key, Missing::Share, 512).expect("valid");
    check(Contract::new(make, |keyed| {
        keyed.handle().with_cell(1_u8, spent).unwrap_or(0)
    }))
    .await;
}
