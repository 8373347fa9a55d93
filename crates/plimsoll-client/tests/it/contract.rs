//! The laws, checked by the core's test kit.

use plimsoll_client::{AdaptiveThrottle, Downstream};
use plimsoll_core::{Criticality, test_kit::Contract};

/// The sum over all criticalities.
fn all(count: impl Fn(Criticality) -> u64) -> u64 {
    Criticality::ALL.into_iter().map(count).sum()
}

#[tokio::test(start_paused = true)]
async fn adaptive_throttle_keeps_the_laws() {
    let admitted = |throttle: &AdaptiveThrottle| all(|kind| throttle.handle().admitted(kind));
    // The kit sends more than the default of ten requests, from which some would be rejected.
    let make = || AdaptiveThrottle::new().at_least(1_000_000);
    Contract::new(make, admitted).consumes().check_all().await;
}

#[tokio::test(start_paused = true)]
async fn downstream_keeps_the_laws() {
    let sent = |downstream: &Downstream| all(|kind| downstream.handle().sent(kind));
    let contract = Contract::new(Downstream::new, sent);
    contract.consumes().check_all().await;
}
