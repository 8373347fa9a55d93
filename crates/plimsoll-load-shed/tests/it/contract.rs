//! The laws, checked by the core's test kit.

use std::time::Duration;

use plimsoll_core::{Criticality, LoadSignal, test_kit::Contract};
use plimsoll_load_shed::{AdaptiveShed, LoadShed, QueueDelay};

/// The sum over all criticalities.
fn all(count: impl Fn(Criticality) -> u64) -> u64 {
    Criticality::ALL.into_iter().map(count).sum()
}

#[tokio::test(start_paused = true)]
async fn load_shed_keeps_the_laws() {
    let admitted = |shed: &LoadShed<_>| all(|kind| shed.handle().admitted(kind));
    let contract = Contract::new(|| LoadShed::new(|| 0.5), admitted);
    contract.consumes().check_all().await;
}

#[tokio::test(start_paused = true)]
async fn adaptive_shed_keeps_the_laws() {
    let admitted = |shed: &AdaptiveShed<_>| all(|kind| shed.handle().admitted(kind));
    let contract = Contract::new(|| AdaptiveShed::new(|| 0.5), admitted);
    contract.consumes().check_all().await;
}

#[tokio::test(start_paused = true)]
async fn queue_delay_keeps_the_laws() {
    // The policy holds nothing per request, so its load replaces the count, in millionths.
    let load = |delay: &QueueDelay| (delay.load() * 1e6) as u64;
    let mean = || QueueDelay::mean(Duration::from_millis(10)).unwrap();
    for make in [QueueDelay::relative, mean] {
        Contract::new(make, load).holds_nothing().check_all().await;
    }
}
