//! The laws, checked by the test kit.

use plimsoll_core::test_kit::Contract;
use plimsoll_sampling::{Rates, Sampling};

use crate::Load;

fn half() -> Sampling<Load> {
    let rates = Rates {
        base: 1.0,
        min: 0.5,
        threshold: 0.7,
    };
    Sampling::new(Load::new(2.0), rates).expect("valid")
}

#[tokio::test(start_paused = true)]
async fn marking_keeps_the_contract() {
    Contract::new(half, |sampling| {
        sampling.handle().kept() + sampling.handle().skipped()
    })
    .consumes()
    .check_all()
    .await;
}

/// At a rate of 1: the kit cannot distinguish requests left out at random from those rejected for
/// lack of capacity.
#[tokio::test(start_paused = true)]
async fn rejecting_keeps_the_contract() {
    let all = || {
        Sampling::new(Load::new(0.0), Rates::DEFAULT)
            .expect("valid")
            .reject()
    };
    Contract::new(all, |sampling| sampling.handle().kept())
        .consumes()
        .check_all()
        .await;
}
