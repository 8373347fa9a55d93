//! Tokens in advance.

use std::{
    collections::VecDeque,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use plimsoll_core::{Class, Missing, Outcome, Policy, Verdict};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{LeaseCell, LeaseSettings, LeasedRateLimit};
use tokio::{task::JoinSet, time::Instant};

use crate::{Caller, LONG, ask, builder, ms, server::Server, until};

type Key = fn(&Caller) -> Option<&'static str>;
const BY_NAME: Key = |caller| Some(caller.0);

async fn leased(server: &Server, quota: Quota, lease: LeaseSettings) -> LeasedRateLimit<Key> {
    let limit = builder(server)
        .quota(quota.fixed_window().named("q"))
        .key(BY_NAME, Missing::Share)
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
async fn most_decisions_are_made_here_and_all_tokens_are_spent() {
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
        "{} of 1000 without asking",
        handle.leased()
    );
    assert_eq!(in_hand(&limit, "k"), 0);
}

#[tokio::test]
async fn a_refused_key_costs_redis_nothing() {
    let server = Server::start();
    let lease = LeaseSettings::new(5);
    let limit = leased(&server, Quota::new(10, LONG), lease).await;
    while ask(&limit, &mut Caller("k")).await.is_ok() {}
    let handle = limit.handle();
    let (asked, before) = (handle.refused(), handle.refused_by_lease());
    for _ in 0..1000 {
        let Verdict::Reject(rejection) = limit.admit(&mut Caller("k"), Instant::now()) else {
            panic!("Redis said for how long it has nothing")
        };
        assert!(rejection.retry_after().expect("known") > ms(1000));
    }
    assert_eq!(handle.refused(), asked);
    assert_eq!(handle.refused_by_lease() - before, 1000);
    assert!(
        ask(&limit, &mut Caller("other")).await.is_ok(),
        "another key is another matter"
    );
}

#[tokio::test]
async fn the_wait_that_redis_told_ends_here_too() {
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

/// The formula of the docs: in any stretch of time, no more than the quota allows there, and what all replicas together
/// may have in hand when it begins.
#[tokio::test(flavor = "multi_thread")]
async fn overshoot_is_no_more_than_what_all_replicas_may_have_in_hand() {
    const REPLICAS: u64 = 3;
    const COUNT: u64 = 100;
    const PERIOD: Duration = ms(500);
    let server = Server::start();
    // The lifetime is long, so that nothing but the formula holds it.
    let lease = LeaseSettings::new(20).low_water(10).lifetime(ms(60_000));
    let most = REPLICAS * lease.most();
    let mut callers = JoinSet::new();
    let start = Instant::now();
    for replica in 0..REPLICAS {
        let limit = leased(&server, Quota::new(COUNT as u32, PERIOD), lease).await;
        callers.spawn(async move {
            let mut log = Vec::new();
            // All there is, then nothing for a while, then all there is: what is in hand is spent late.
            for burst in 0..12_u64 {
                let pause = ms(150 + 70 * ((burst + replica) % 3));
                let until = Instant::now() + ms(120);
                while Instant::now() < until {
                    // Taken no later than this moment after it was asked for.
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
    let said = callers.join_all().await;
    let leased: u64 = said.iter().map(|(_, leased)| leased).sum();
    assert!(leased > COUNT, "leases were used");
    let mut log: Vec<_> = said.into_iter().flat_map(|(log, _)| log).collect();
    log.sort();
    // A stretch as long as a period touches two windows of the clock, so at most twice the count; likewise for two.
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
    // And in the long run the rate is the quota's.
    let windows = start.elapsed().as_millis() as u64 / PERIOD.as_millis() as u64 + 2;
    assert!(log.len() as u64 <= windows * COUNT);
}

/// That the formula is not idle: tokens taken in one window are spent in the next, on top of its own.
#[tokio::test]
async fn overshoot_is_as_large_as_the_formula_says_when_leases_are_hoarded() {
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
    assert_eq!(hoarded, 30, "33, of which three went");
    tokio::time::sleep(PERIOD).await;
    // A new window: its 33, and the 30.
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
async fn tokens_are_void_after_their_lifetime() {
    let server = Server::start();
    let lease = LeaseSettings::new(10).lifetime(ms(50));
    let limit = leased(&server, Quota::new(100, LONG), lease).await;
    assert!(ask(&limit, &mut Caller("k")).await.is_ok());
    assert_eq!(in_hand(&limit, "k"), 10);
    tokio::time::sleep(ms(60)).await;
    assert_eq!(in_hand(&limit, "k"), 0);
    // The next request asks again, and what was void stays void.
    let before = limit.handle().admitted();
    assert!(ask(&limit, &mut Caller("k")).await.is_ok());
    assert_eq!(limit.handle().admitted(), before + 1);
    assert_eq!(in_hand(&limit, "k"), 10);
}

#[tokio::test]
async fn revoked_permits_go_back_to_the_lease() {
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

/// Law 2, through a lease: what was granted to a request that had gone is given back, and the batch stays.
#[tokio::test]
async fn law_02_a_request_that_leaves_takes_its_own_share_with_it() {
    let server = Server::start();
    for (key, answered) in [("early", false), ("late", true)] {
        let lease = LeaseSettings::new(10).low_water(0).lifetime(ms(3_600_000));
        let limit = leased(&server, Quota::new(30, LONG), lease).await;
        let Verdict::Wait(wait) = limit.admit(&mut Caller(key), Instant::now()) else {
            panic!("there is no lease yet")
        };
        if answered {
            until("the batch is here", || async { in_hand(&limit, key) == 10 }).await;
        }
        Policy::<Caller>::abandon(&limit, std::pin::pin!(wait), Instant::now());
        // Asked after what was given back, on the same connection.
        let mut admitted = 0;
        while ask(&limit, &mut Caller(key)).await.is_ok() {
            admitted += 1;
        }
        // Not one more: a token given back twice would be. (A lease does not notice one that comes back while it refuses.)
        assert!((29..=30).contains(&admitted), "{key}: {admitted}");
        assert_eq!(limit.handle().local(), 0);
    }
}

/// The low-water mark is what is left while the next batch is on its way: it is on top of the
/// batch.
#[tokio::test]
async fn a_batch_that_comes_at_the_low_water_mark_is_kept_whole() {
    let server = Server::start();
    let lease = LeaseSettings::new(10).low_water(5).lifetime(ms(3_600_000));
    let limit = leased(&server, Quota::new(100, LONG), lease).await;
    assert!(ask(&limit, &mut Caller("k")).await.is_ok());
    assert_eq!(in_hand(&limit, "k"), 10);
    for _ in 0..5 {
        assert!(ask(&limit, &mut Caller("k")).await.is_ok());
    }
    until("the next batch is here", || async {
        in_hand(&limit, "k") > 5
    })
    .await;
    assert_eq!(u64::from(in_hand(&limit, "k")), lease.most());
}

#[tokio::test]
async fn tokens_on_their_way_to_a_key_that_lost_its_place_do_not_go_to_the_next_key() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::new(5, LONG).fixed_window().named("q"))
        .key(|key: &u32| Some(*key), Missing::Share)
        .connections(1)
        .queue(4096)
        .deadline(ms(10_000))
        .capacity(1)
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
    // The next batch of key 0 is asked for, but this thread has not yet sent the question. Its
    // lease is empty: until its place is taken, other keys ask and wait.
    let mut waits = Vec::new();
    let mut heir = 0;
    while in_hand(0).is_some() {
        heir += 1;
        assert!(heir < 3000, "a table for one has little room");
        // Key 0 is known: its place is kept for five minutes after another key wanted it.
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
    // Each of the two has five in all, of which key 0 has had two and its heir one.
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
async fn a_key_function_that_panics_takes_no_tokens_with_it() {
    let server = Server::start();
    let calls = AtomicU32::new(0);
    let limit = builder(&server)
        .quota(Quota::new(40, LONG).fixed_window().named("q"))
        .key(
            move |(): &()| {
                assert!(calls.fetch_add(1, SeqCst) % 4 != 3, "on purpose");
                Some("k")
            },
            Missing::Share,
        )
        .lease(LeaseSettings::new(3).low_water(2).lifetime(ms(3_600_000)))
        .expect("valid");
    limit.handle().wait_connected().await;
    let (mut admitted, mut panics) = (0, 0);
    loop {
        let asked = catch_unwind(AssertUnwindSafe(|| limit.admit(&mut (), Instant::now())));
        let said = match asked {
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
        if said.is_err() {
            break;
        }
        admitted += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!(admitted, 40);
    assert!(panics > 5, "{panics} panics");
}

#[tokio::test]
async fn keys_without_room_ask_each_time_and_are_limited_all_the_same() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::new(3, LONG).fixed_window().named("q"))
        .key(|key: &u32| Some(*key), Missing::Share)
        .capacity(1)
        .lease(LeaseSettings::new(2).low_water(0).lifetime(ms(3_600_000)))
        .expect("valid");
    limit.handle().wait_connected().await;
    // More keys than any table of this size holds, each with tokens in hand.
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
async fn a_paused_redis_is_found_out_by_those_who_have_to_ask() {
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
