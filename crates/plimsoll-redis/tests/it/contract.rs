//! The laws, checked by the test kit.
//!
//! The kit polls a request once and expects a decision. The exact limit always waits for Redis, so
//! its laws are tested in `exact`. A lease with tokens in hand decides at once.

use std::{future::poll_fn, pin::pin, sync::Arc};

use plimsoll_core::{
    Policy,
    policy::Verdict,
    test_kit::{Contract, KitRequest, Script, request},
};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{LeaseSettings, LeasedRateLimit};
use tokio::{runtime::Handle, time::Instant};

use crate::{LONG, builder, server::Server};

/// A limit whose lease holds the last five tokens.
fn five_in_hand(server: &Server) -> LeasedRateLimit {
    static LIMITS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let n = LIMITS.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    server.resume();
    let limit = builder(server)
        .quota(Quota::new(6, LONG).fixed_window().named("q"))
        .prefix(format!("contract-{n}"))
        .lease(
            LeaseSettings::new(5)
                .low_water(0)
                .lifetime(crate::ms(3_600_000)),
        )
        .expect("valid");
    tokio::task::block_in_place(|| {
        Handle::current().block_on(async {
            limit.handle().wait_connected().await;
            let mut first = request(Script::Body);
            let permit = match limit.admit(&mut first, Instant::now()) {
                Verdict::Wait(wait) => {
                    let mut wait = pin!(wait);
                    let now = Instant::now();
                    poll_fn(|cx| limit.poll_wait(wait.as_mut(), &mut first, now, cx)).await
                }
                _ => panic!("the first request fetches a batch"),
            };
            let outcome = plimsoll_core::Outcome::new(
                plimsoll_core::Class::Success,
                crate::ms(1),
                Instant::now(),
            );
            Policy::<KitRequest>::finish(&limit, permit.expect("room"), &outcome);
        });
    });
    assert_eq!(in_hand(&limit), 5);
    // From now on, requests that need more tokens wait: an answer between two polls would reject
    // the next one.
    server.pause();
    limit
}

fn in_hand(limit: &LeasedRateLimit) -> u64 {
    let tokens_of = |cell: &plimsoll_redis::LeaseCell<_, _>| cell.tokens(Instant::now());
    limit.leases().with_cell((), tokens_of).unwrap_or(0).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_keeps_the_contract() {
    let server = Arc::new(Server::start());
    let contract = Contract::new(move || five_in_hand(&server), |limit| 5 - in_hand(limit))
        .capacity(5)
        .consumes();
    contract.law_01_state_is_shared_across_layer_calls().await;
    contract.law_02_every_permit_ends_exactly_once().await;
    contract.law_02_abandoned_waits_leave_nothing_behind().await;
    contract.law_03_a_rejected_request_has_spent_nothing().await;
    contract.law_04_nothing_is_reserved_in_poll_ready().await;
}
