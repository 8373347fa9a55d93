//! Leases: tokens taken in advance.

use std::{
    collections::VecDeque,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use plimsoll_core::{Class, Missing, Outcome, Policy, policy::Verdict};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{LeaseCell, LeaseSettings, LeasedRateLimit};
use tokio::{task::JoinSet, time::Instant};

use crate::{Caller, LONG, ask, builder, ms, server::Server, until};

type Key = fn(&Caller) -> Option<&'static str>;
const BY_NAME: Key = |caller| Some(caller.0);

async fn leased(server: &Server, quota: Quota, lease: LeaseSettings) -> LeasedRateLimit<Key> {
    let limit = builder(server)
        .quota(quota.fixed_window().named("q"))
        .per_key(BY_NAME, Missing::Share, 10_000)
        .lease(lease)
        .expect("valid");
    limit.handle().wait_connected().await;
    limit
}

fn in_hand(limit: &LeasedRateLimit<Key>, key: &str) -> u32 {
    let tokens = limit
        .leases()
        .with_cell(key, |cell| cell.tokens(Instant::now()));
    tokens.unwrap_or(0)
}

#[tokio::test]
async fn most_decisions_are_local_and_all_tokens_are_spent() {
    let server = Server::start();
    let lease = LeaseSettings::new(50).lifetime(ms(3_600_000));
    let limit = leased(&server, Quota::new(1000, LONG), lease).await;
    let mut admitted = 0;
    while ask(&limit, &mut Caller("k")).await.is_ok() {
        admitted += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(admitted, 1000, "one replica: exact");
    let handle = limit.handle();
    assert_eq!(handle.admitted() + handle.leased(), 1000);
    assert!(
        handle.leased() > 900,
        "{} of 1000 without a question",
        handle.leased()
    );
    assert_eq!(in_hand(&limit, "k"), 0);
}

#[tokio::test]
async fn a_rejected_key_causes_no_load_on_redis() {
    let server = Server::start();
    let lease = LeaseSettings::new(5);
    let limit = leased(&server, Quota::new(10, LONG), lease).await;
    while ask(&limit, &mut Caller("k")).await.is_ok() {}
    let handle = limit.handle();
    let (asked, before) = (handle.rejected(), handle.rejected_by_lease());
    for _ in 0..1000 {
        let Verdict::Reject(rejection) = limit.admit(&mut Caller("k"), Instant::now()) else {
            panic!("Redis gave a wait")
        };
        assert!(rejection.retry_after().expect("known") > ms(1000));
    }
    assert_eq!(handle.rejected(), asked);
    assert_eq!(handle.rejected_by_lease() - before, 1000);
    assert!(
        ask(&limit, &mut Caller("other")).await.is_ok(),
        "another key is not rejected"
    );
}

#[tokio::test]
async fn a_lease_admits_again_after_the_wait_that_redis_gave() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_second(10).burst(2).named("q"))
        .lease(LeaseSettings::new(2).low_water(0))
        .expect("valid");
    limit.handle().wait_connected().await;
    let mut wait = None;
    for _ in 0..10 {
        if let Err(rejection) = ask(&limit, &mut ()).await {
            wait = rejection.retry_after();
        }
    }
    let wait = wait.expect("10 at once are more than 2");
    assert!(wait <= ms(100));
    tokio::time::sleep(ms(101)).await;
    assert!(ask(&limit, &mut ()).await.is_ok());
}

/// The formula of the docs: in any time at most the quota, and what all replicas may hold at its
/// start.
#[tokio::test(flavor = "multi_thread")]
async fn the_overshoot_is_at_most_what_all_replicas_may_hold() {
    const REPLICAS: u64 = 3;
    const COUNT: u64 = 100;
    const PERIOD: Duration = ms(500);
    let server = Server::start();
    // A long lifetime, so that only the formula bounds the overshoot.
    let lease = LeaseSettings::new(20).low_water(10).lifetime(ms(60_000));
    let most = REPLICAS * lease.most();
    let mut callers = JoinSet::new();
    let start = Instant::now();
    for replica in 0..REPLICAS {
        let limit = leased(&server, Quota::new(COUNT as u32, PERIOD), lease).await;
        callers.spawn(async move {
            let mut log = Vec::new();
            // All tokens, then a pause, then all tokens again: tokens in hand are spent late.
            for burst in 0..12_u64 {
                let pause = ms(150 + 70 * ((burst + replica) % 3));
                let until = Instant::now() + ms(120);
                while Instant::now() < until {
                    // Admitted at the latest at this time.
                    if ask(&limit, &mut Caller("k")).await.is_ok() {
                        log.push(start.elapsed());
                    }
                    tokio::task::yield_now().await;
                }
                tokio::time::sleep(pause).await;
            }
            assert_eq!(limit.handle().local(), 0);
            (log, limit.handle().leased())
        });
    }
    let results = callers.join_all().await;
    let leased: u64 = results.iter().map(|(_, leased)| leased).sum();
    assert!(leased > COUNT, "leases were used");
    let mut log: Vec<_> = results.into_iter().flat_map(|(log, _)| log).collect();
    log.sort();
    // A time as long as a period overlaps two windows, so at most twice the count; likewise for
    // more periods.
    for periods in [1, 2, 4] {
        let allowed = (periods + 1) * COUNT + most;
        let mut stretch = VecDeque::new();
        for at in &log {
            stretch.push_back(*at);
            while at.saturating_sub(stretch[0]) >= PERIOD * periods as u32 {
                stretch.pop_front();
            }
            assert!(
                stretch.len() as u64 <= allowed,
                "{} in {periods} periods",
                stretch.len()
            );
        }
    }
    // In the long run the rate is the quota's.
    let windows = start.elapsed().as_millis() as u64 / PERIOD.as_millis() as u64 + 2;
    assert!(log.len() as u64 <= windows * COUNT);
}

/// The bound of the formula is reached: tokens taken in one window are spent in the next, on top of
/// its own.
#[tokio::test]
async fn the_overshoot_reaches_the_formula_when_leases_are_hoarded() {
    const PERIOD: Duration = Duration::from_secs(1);
    let server = Server::start();
    let lease = LeaseSettings::new(10).low_water(0).lifetime(ms(60_000));
    let mut fleet = Vec::new();
    for _ in 0..3 {
        fleet.push(leased(&server, Quota::new(33, PERIOD), lease).await);
    }
    for limit in &fleet {
        assert!(ask(limit, &mut Caller("k")).await.is_ok());
    }
    let hoarded: u32 = fleet.iter().map(|limit| in_hand(limit, "k")).sum();
    assert_eq!(hoarded, 30, "33, less three that were spent");
    tokio::time::sleep(PERIOD).await;
    // A new window: its 33, and the hoarded 30.
    let start = Instant::now();
    let mut admitted = 0;
    for limit in &fleet {
        while start.elapsed() < PERIOD / 2 && ask(limit, &mut Caller("k")).await.is_ok() {
            admitted += 1;
        }
    }
    assert!((63..=63 + 33).contains(&admitted), "{admitted}");
}

#[tokio::test]
async fn tokens_expire_after_their_lifetime() {
    let server = Server::start();
    let lease = LeaseSettings::new(10).lifetime(ms(50));
    let limit = leased(&server, Quota::new(100, LONG), lease).await;
    assert!(ask(&limit, &mut Caller("k")).await.is_ok());
    assert_eq!(in_hand(&limit, "k"), 10);
    tokio::time::sleep(ms(60)).await;
    assert_eq!(in_hand(&limit, "k"), 0);
    // The next request asks again, and expired tokens stay expired.
    let before = limit.handle().admitted();
    assert!(ask(&limit, &mut Caller("k")).await.is_ok());
    assert_eq!(limit.handle().admitted(), before + 1);
    assert_eq!(in_hand(&limit, "k"), 10);
}

#[tokio::test]
async fn revoked_permits_are_refunded_to_the_lease() {
    let server = Server::start();
    let lease = LeaseSettings::new(10).low_water(0).lifetime(ms(3_600_000));
    let limit = leased(&server, Quota::new(100, LONG), lease).await;
    assert!(ask(&limit, &mut Caller("k")).await.is_ok());
    for _ in 0..50 {
        let now = Instant::now();
        let Verdict::Admit(permit) = limit.admit(&mut Caller("k"), now) else {
            panic!("ten in hand")
        };
        assert_eq!(in_hand(&limit, "k"), 9);
        Policy::<Caller>::revoke(&limit, permit, now, now);
        assert_eq!(in_hand(&limit, "k"), 10);
    }
    assert_eq!(limit.handle().refunds_dropped(), 0);
}

/// Law 2, through a lease: the share of a cancelled request is refunded, and the batch stays.
#[tokio::test]
async fn law_02_a_cancelled_request_is_refunded_its_own_share() {
    let server = Server::start();
    for (key, answered) in [("early", false), ("late", true)] {
        let lease = LeaseSettings::new(10).low_water(0).lifetime(ms(3_600_000));
        let limit = leased(&server, Quota::new(30, LONG), lease).await;
        let Verdict::Wait(wait) = limit.admit(&mut Caller(key), Instant::now()) else {
            panic!("no lease yet")
        };
        if answered {
            until("the batch has arrived", || async {
                in_hand(&limit, key) == 10
            })
            .await;
        }
        Policy::<Caller>::abandon(&limit, std::pin::pin!(wait), Instant::now());
        // Asked after the refund, on the same connection.
        let mut admitted = 0;
        while ask(&limit, &mut Caller(key)).await.is_ok() {
            admitted += 1;
        }
        // Not 31, as after a double refund. (A lease that rejects does not notice a refund.)
        assert!((29..=30).contains(&admitted), "{key}: {admitted}");
        assert_eq!(limit.handle().local(), 0);
    }
}

/// The low-water mark is what is left while the next batch is fetched. It is on top of the batch.
#[tokio::test]
async fn a_batch_that_arrives_at_the_low_water_mark_is_kept_in_full() {
    let server = Server::start();
    let lease = LeaseSettings::new(10).low_water(5).lifetime(ms(3_600_000));
    let limit = leased(&server, Quota::new(100, LONG), lease).await;
    assert!(ask(&limit, &mut Caller("k")).await.is_ok());
    assert_eq!(in_hand(&limit, "k"), 10);
    for _ in 0..5 {
        assert!(ask(&limit, &mut Caller("k")).await.is_ok());
    }
    until("the next batch has arrived", || async {
        in_hand(&limit, "k") > 5
    })
    .await;
    assert_eq!(u64::from(in_hand(&limit, "k")), lease.most());
}

#[tokio::test]
async fn a_batch_of_an_evicted_key_does_not_go_to_the_next_key() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::new(5, LONG).fixed_window().named("q"))
        .per_key(|key: &u32| Some(*key), Missing::Share, 1)
        .connections(1)
        .queue(4096)
        .deadline(ms(10_000))
        .lease(LeaseSettings::new(1).low_water(1).lifetime(ms(3_600_000)))
        .expect("valid");
    limit.handle().wait_connected().await;
    let in_hand = |key: u32| {
        let cell = |cell: &LeaseCell<_, _>| cell.tokens(Instant::now());
        limit.leases().with_cell(key, cell)
    };
    let finish = |permit| {
        let outcome = Outcome::new(Class::Success, ms(1), Instant::now());
        Policy::<u32>::finish(&limit, permit, &outcome);
    };
    finish(ask(&limit, &mut 0).await.expect("room"));
    assert_eq!(in_hand(0), Some(1));
    let Verdict::Admit(permit) = limit.admit(&mut 0, Instant::now()) else {
        panic!("one in hand")
    };
    finish(permit);
    // The next batch of key 0 is requested, but this thread has not sent the question yet. Its
    // lease is empty: until its place is taken, other keys ask and wait.
    let mut waits = Vec::new();
    let mut heir = 0;
    while in_hand(0).is_some() {
        heir += 1;
        assert!(heir < 3000, "a table of capacity 1 is small");
        // Key 0 is known, so its place is kept for five minutes.
        let now = Instant::now() + ms(if heir > 2000 { 301_000 } else { 0 });
        if let Verdict::Wait(wait) = limit.admit(&mut heir.clone(), now) {
            waits.push(Box::pin(wait));
        }
    }
    let mut wait = waits.pop().expect("the last one waits");
    let mut req = heir;
    finish(
        poll_fn(|cx| limit.poll_wait(wait.as_mut(), &mut req, Instant::now(), cx))
            .await
            .expect("room"),
    );
    assert_eq!(in_hand(heir), Some(1), "its own batch");
    for mut wait in waits {
        Policy::<u32>::abandon(&limit, wait.as_mut(), Instant::now());
    }
    // Each of the two has five in all. Key 0 has taken two, and its heir one.
    for (key, left) in [(heir, 4), (0, 3)] {
        let mut admitted = 0;
        while let Ok(permit) = ask(&limit, &mut key.clone()).await {
            finish(permit);
            admitted += 1;
        }
        assert_eq!(admitted, left, "key {key}");
    }
}

#[tokio::test]
async fn a_key_function_that_panics_loses_no_tokens() {
    let server = Server::start();
    let calls = AtomicU32::new(0);
    let limit = builder(&server)
        .quota(Quota::new(40, LONG).fixed_window().named("q"))
        .per_key(
            move |(): &()| {
                assert!(calls.fetch_add(1, SeqCst) % 4 != 3, "on purpose");
                Some("k")
            },
            Missing::Share,
            10_000,
        )
        .lease(LeaseSettings::new(3).low_water(2).lifetime(ms(3_600_000)))
        .expect("valid");
    limit.handle().wait_connected().await;
    let (mut admitted, mut panics) = (0, 0);
    loop {
        let asked = catch_unwind(AssertUnwindSafe(|| limit.admit(&mut (), Instant::now())));
        let decided = match asked {
            Err(_) => {
                panics += 1;
                continue;
            }
            Ok(Verdict::Admit(permit)) => Ok(permit),
            Ok(Verdict::Reject(rejection)) => Err(rejection),
            Ok(Verdict::Wait(wait)) => {
                let mut wait = Box::pin(wait);
                poll_fn(|cx| limit.poll_wait(wait.as_mut(), &mut (), Instant::now(), cx)).await
            }
        };
        if decided.is_err() {
            break;
        }
        admitted += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(admitted, 40);
    assert!(panics > 5, "{panics} panics");
}

#[tokio::test]
async fn keys_without_a_lease_ask_each_time_and_keep_their_quota() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::new(3, LONG).fixed_window().named("q"))
        .per_key(|key: &u32| Some(*key), Missing::Share, 1)
        .lease(LeaseSettings::new(2).low_water(0).lifetime(ms(3_600_000)))
        .expect("valid");
    limit.handle().wait_connected().await;
    // More keys than a table of this size can hold, each with tokens in hand.
    let capacity = limit.leases().capacity() as u32;
    for key in 0..2 * capacity {
        assert!(ask(&limit, &mut { key }).await.is_ok(), "key {key}");
    }
    assert!(limit.leases().overflowed() >= u64::from(capacity));
    for key in 0..2 * capacity {
        let mut more = 0;
        while ask(&limit, &mut { key }).await.is_ok() {
            more += 1;
        }
        assert_eq!(more, 2, "key {key} has three in all");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_is_noticed_by_requests_that_have_to_ask() {
    let server = Server::start();
    let limit = builder(&server)
        .deadline(ms(20))
        .quota(Quota::per_second(1000).named("q"))
        .lease(LeaseSettings::new(100).lifetime(ms(200)))
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    until("there is a lease", || async {
        _ = ask(&limit, &mut ()).await;
        handle.leased() > 0
    })
    .await;
    server.pause();
    for _ in 0..500 {
        let start = Instant::now();
        _ = ask(&limit, &mut ()).await;
        assert!(start.elapsed() < ms(220));
    }
    assert!(handle.local() > 0);
    server.resume();
    until("the lease is filled again", || async {
        let before = handle.leased();
        _ = ask(&limit, &mut ()).await;
        handle.leased() > before
    })
    .await;
}
