//! A Redis that stands still, dies, comes back empty, or forgets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use plimsoll_circuit_breaker::{CircuitBreaker, State};
use plimsoll_core::{Kind, Missing, Policy, Verdict};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{OnFailure, RedisHandle, RedisRateLimit};
use tokio::{task::JoinSet, time::Instant};

use crate::{Caller, LONG, ask, builder, ms, server::Server, until};

const REPLICAS: u32 = 3;
/// Requests at a time in each replica.
const DEPTH: u32 = 8;
const DEADLINE: Duration = ms(20);

type Key = fn(&Caller) -> Option<&'static str>;

/// A fleet that shares `count` requests per key, in this process.
async fn fleet(server: &Server, count: u32) -> Vec<Arc<RedisRateLimit<Key>>> {
    let by_name: Key = |caller| Some(caller.0);
    let mut fleet = Vec::new();
    for _ in 0..REPLICAS {
        let limit = builder(server)
            .deadline(DEADLINE)
            .quota(Quota::new(count, LONG).fixed_window().named("q"))
            .key(by_name, Missing::Share)
            .replicas(REPLICAS)
            .connect()
            .expect("valid");
        limit.handle().wait_connected().await;
        fleet.push(Arc::new(limit));
    }
    fleet
}

fn sum(fleet: &[Arc<RedisRateLimit<Key>>], count: impl Fn(&RedisHandle) -> u64) -> u64 {
    fleet.iter().map(|limit| count(&limit.handle())).sum()
}

/// What a crowd of callers saw.
struct Crowd {
    callers: JoinSet<Duration>,
    stop: Arc<AtomicBool>,
}

impl Crowd {
    /// Callers that ask, pause for two milliseconds, and ask again.
    fn start(fleet: &[Arc<RedisRateLimit<Key>>], key: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for limit in fleet {
            for _ in 0..DEPTH {
                let (limit, stop) = (Arc::clone(limit), Arc::clone(&stop));
                callers.spawn(async move {
                    let mut slowest = Duration::ZERO;
                    while !stop.load(SeqCst) {
                        let start = Instant::now();
                        _ = ask(&*limit, &mut Caller(key)).await;
                        slowest = slowest.max(start.elapsed());
                        tokio::time::sleep(ms(2)).await;
                    }
                    slowest
                });
            }
        }
        // One that asks nobody: how late this machine is by itself.
        let idle = Arc::clone(&stop);
        callers.spawn(async move {
            let mut latest = Duration::ZERO;
            while !idle.load(SeqCst) {
                let due = Instant::now() + ms(5);
                tokio::time::sleep_until(due).await;
                latest = latest.max(due.elapsed());
            }
            // As if it had asked: comparable with the others.
            latest + DEADLINE
        });
        Self { callers, stop }
    }

    /// Nobody waited longer than the deadline, but for what the machine was late by itself.
    async fn stop(self) {
        self.stop.store(true, SeqCst);
        let mut waits = self.callers.join_all().await;
        waits.sort();
        let slowest = waits[waits.len() - 1];
        // The idle one is among them; with a machine that is never late it is the deadline.
        assert!(slowest < DEADLINE + ms(100), "the slowest took {slowest:?}");
    }
}

/// Takes what is left of a key, through all replicas.
async fn drain(fleet: &[Arc<RedisRateLimit<Key>>], key: &'static str) {
    for limit in fleet {
        let refused = limit.handle().refused();
        // Until Redis says so: on a busy machine a request may miss the deadline, and be rejected
        // by the local limit.
        while limit.handle().refused() == refused {
            _ = ask(&**limit, &mut Caller(key)).await;
            tokio::task::yield_now().await;
        }
    }
}

async fn well_again(fleet: &[Arc<RedisRateLimit<Key>>], key: &'static str) {
    for limit in fleet {
        let handle = limit.handle();
        handle.wait_connected().await;
        until("the breaker is closed", || async {
            _ = ask(&**limit, &mut Caller(key)).await;
            handle.breaker().state() == State::Closed
        })
        .await;
    }
}

/// A fresh key has exactly what the quota says, whichever replica is asked.
async fn is_exact(fleet: &[Arc<RedisRateLimit<Key>>], key: &'static str, count: u64) {
    let before = (
        sum(fleet, RedisHandle::admitted),
        sum(fleet, RedisHandle::local),
    );
    let mut callers = JoinSet::new();
    for limit in fleet {
        let limit = Arc::clone(limit);
        callers.spawn(async move {
            let mut admitted = 0;
            for _ in 0..count {
                admitted += u64::from(ask(&*limit, &mut Caller(key)).await.is_ok());
            }
            admitted
        });
    }
    let admitted: u64 = callers.join_all().await.iter().sum();
    let after = (
        sum(fleet, RedisHandle::admitted),
        sum(fleet, RedisHandle::local),
    );
    if after.1 == before.1 {
        assert_eq!(admitted, count, "all decided by Redis");
    }
    // A busy machine may miss a deadline: then a replica decides by itself, and Redis still does not give too much.
    assert!(after.0 - before.0 <= count, "Redis gave too much");
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_then_resumed_is_never_slow_and_exact_again() {
    const COUNT: u32 = 3000;
    let server = Server::start();
    let fleet = fleet(&server, COUNT).await;
    let crowd = Crowd::start(&fleet, "k");
    tokio::time::sleep(ms(200)).await;
    server.pause();
    tokio::time::sleep(ms(1500)).await;
    let (timeouts, local) = (
        sum(&fleet, RedisHandle::timeouts),
        sum(&fleet, RedisHandle::local),
    );
    assert!(timeouts > 0, "somebody found out");
    assert!(local > 1000, "the others decided without waiting: {local}");
    // The breaker and the broken connections saved the rest the wait.
    let worst = u64::from(REPLICAS) * 100;
    assert!(
        timeouts < worst,
        "{timeouts} waited for a Redis that stood still"
    );
    server.resume();
    well_again(&fleet, "k").await;
    crowd.stop().await;
    drain(&fleet, "k").await;

    // What was asked before the pause, and read after it, spent nothing: all tokens went to somebody. Only what was granted at
    // the very moment of the pause may be lost.
    let refunds_dropped = sum(&fleet, RedisHandle::refunds_dropped);
    let admitted = sum(&fleet, RedisHandle::admitted);
    assert!(admitted <= u64::from(COUNT), "{admitted}");
    let lost = u64::from(COUNT) - admitted;
    assert!(
        lost <= u64::from(REPLICAS * DEPTH) + refunds_dropped,
        "{lost} lost"
    );
    is_exact(&fleet, "fresh", COUNT.into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_then_restarted_is_never_slow_and_exact_again() {
    const COUNT: u32 = 3000;
    let mut server = Server::start();
    let fleet = fleet(&server, COUNT).await;
    let crowd = Crowd::start(&fleet, "k");
    tokio::time::sleep(ms(200)).await;
    server.kill();
    until("it is noticed", || async {
        fleet.iter().all(|limit| limit.handle().connected() == 0)
    })
    .await;
    let timeouts = sum(&fleet, RedisHandle::timeouts);
    tokio::time::sleep(ms(500)).await;
    // Dead, not slow: nobody waits.
    assert_eq!(sum(&fleet, RedisHandle::timeouts), timeouts);
    assert!(sum(&fleet, RedisHandle::local) > 500);
    assert!(sum(&fleet, RedisHandle::lost) >= u64::from(REPLICAS));

    // Empty: no counters, and no scripts but those the replicas bring along.
    server.restart();
    well_again(&fleet, "k").await;
    tokio::time::sleep(ms(200)).await;
    crowd.stop().await;
    is_exact(&fleet, "fresh", COUNT.into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_scripts_are_taught_again_and_nobody_notices() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::new(100, LONG).fixed_window().named("q"))
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    for n in 0..100 {
        if n % 10 == 5 {
            assert_eq!(server.command("SCRIPT FLUSH"), "+OK");
        }
        assert!(ask(&limit, &mut ()).await.is_ok(), "request {n}");
    }
    assert!(ask(&limit, &mut ()).await.is_err());
    assert_eq!((handle.admitted(), handle.refused()), (100, 1));
    assert_eq!((handle.errors(), handle.local(), handle.lost()), (0, 0, 0));
}

/// There is nobody at this address.
fn nowhere() -> plimsoll_redis::RedisRateLimitBuilder {
    let url = format!("redis://127.0.0.1:{}", crate::server::free_port());
    RedisRateLimit::builder(plimsoll_redis::RedisServer::new(url).expect("a URL"))
        .quota(Quota::per_hour(6).named("q"))
}

#[tokio::test]
async fn without_redis_each_replica_has_its_share() {
    let limit = nowhere().replicas(3).connect().expect("valid");
    let mut admitted = 0;
    for _ in 0..20 {
        // At once: there is nothing to wait for.
        match limit.admit(&mut (), Instant::now()) {
            Verdict::Admit(_) => admitted += 1,
            Verdict::Reject(rejection) => {
                assert_eq!(rejection.kind(), Kind::OverQuota);
                let wait = rejection.retry_after().expect("exact");
                assert!(
                    wait > ms(1_700_000),
                    "a third of 6 per hour: one in 30 minutes, not {wait:?}"
                );
            }
            Verdict::Wait(_) => panic!("it waits for nobody"),
        }
    }
    assert_eq!(admitted, 2, "a third of 6");
    let handle = limit.handle();
    assert_eq!((handle.local(), handle.unreachable()), (20, 20));
}

#[tokio::test]
async fn a_local_permit_that_is_revoked_is_given_back() {
    let limit = nowhere().replicas(6).connect().expect("valid");
    for n in 0..5 {
        let now = Instant::now();
        let Verdict::Admit(permit) = limit.admit(&mut (), now) else {
            panic!("request {n}: the one before was given back")
        };
        Policy::<()>::revoke(&limit, permit, now, now);
    }
}

#[tokio::test]
async fn open_lets_all_in_and_closed_none() {
    let open = nowhere()
        .on_failure(OnFailure::Open)
        .connect()
        .expect("valid");
    let closed = nowhere()
        .on_failure(OnFailure::Closed)
        .connect()
        .expect("valid");
    for _ in 0..20 {
        assert!(ask(&open, &mut ()).await.is_ok());
        let rejection = ask(&closed, &mut ()).await.expect_err("closed");
        assert_eq!(rejection.kind(), Kind::Full);
    }
    assert_eq!((open.handle().opened(), open.handle().local()), (20, 0));
    assert_eq!((closed.handle().closed(), closed.handle().local()), (20, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_costs_a_few_requests_the_deadline_and_the_rest_nothing() {
    let server = Server::start();
    let limit = builder(&server)
        .deadline(DEADLINE)
        .quota(Quota::per_second(1000).named("q"))
        .on_failure(OnFailure::Closed)
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    server.pause();
    let mut waited = 0;
    for _ in 0..1000 {
        let Verdict::Wait(wait) = limit.admit(&mut (), Instant::now()) else {
            continue;
        };
        waited += 1;
        let start = Instant::now();
        let mut wait = std::pin::pin!(wait);
        let said =
            std::future::poll_fn(|cx| limit.poll_wait(wait.as_mut(), &mut (), Instant::now(), cx))
                .await;
        assert!(said.is_err());
        assert!(start.elapsed() < DEADLINE + ms(200));
    }
    // The breaker opens at ten, and probes once per half second.
    assert!((10..15).contains(&waited), "{waited}");
    assert_eq!(handle.breaker().state(), State::Open);
    assert_eq!(
        handle.timeouts() + handle.broken() + handle.unreachable(),
        1000
    );
    assert_eq!(handle.closed(), 1000);
}

/// Callers with timeouts of their own tell the breaker nothing; the connection itself is found out.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_is_noticed_though_all_callers_leave_before_the_deadline() {
    let server = Server::start();
    let limit = builder(&server)
        .deadline(DEADLINE)
        .quota(Quota::per_second(1000).named("q"))
        .connections(1)
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    server.pause();
    let (start, mut left) = (Instant::now(), 0);
    while handle.unreachable() == 0 {
        let asked = tokio::time::timeout(ms(5), ask(&limit, &mut ())).await;
        left += u64::from(asked.is_err());
        assert!(start.elapsed() < ms(5000), "{left} callers waited in vain");
    }
    assert!(left > 0);
    assert_eq!(handle.connected(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_of_a_paused_redis_spends_nothing_when_it_goes_on() {
    let server = Server::start();
    // One that never opens: all are asked.
    let breaker = CircuitBreaker::builder().window(1000).min_calls(1000);
    let limit = builder(&server)
        .deadline(DEADLINE)
        .quota(Quota::new(100, LONG).fixed_window())
        .breaker(breaker.build().expect("valid"))
        .connect()
        .expect("valid");
    let handle = limit.handle();
    let limit = Arc::new(limit);
    handle.wait_connected().await;
    server.pause();
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let limit = Arc::clone(&limit);
        callers.spawn(async move { ask(&*limit, &mut ()).await.is_ok() });
    }
    callers.join_all().await;
    assert_eq!((handle.timeouts(), handle.admitted()), (50, 0));
    // The connection is given up; what was written to it is still read.
    until("it is given up", || async { handle.lost() > 0 }).await;
    server.resume();
    handle.wait_connected().await;
    let mut asked = 0;
    while ask(&*limit, &mut ()).await.is_ok() || handle.refused() == 0 {
        asked += 1;
        assert!(asked < 1000, "there is a limit");
    }
    assert_eq!(
        handle.admitted(),
        100,
        "all of them, to those who came after"
    );
}

#[tokio::test]
async fn a_queue_is_as_long_as_it_is_said_and_no_longer() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_second(1000).named("q"))
        .connections(1)
        .queue(16)
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    // In one go: the task that empties the queue does not run meanwhile, on this one thread.
    let mut waits = Vec::new();
    for _ in 0..100 {
        if let Verdict::Wait(wait) = limit.admit(&mut (), Instant::now()) {
            waits.push(wait);
        }
    }
    assert_eq!(waits.len(), 16);
    // The breaker takes a full queue for what it is.
    assert!(handle.queue_full() >= 10);
    assert_eq!(handle.queue_full() + handle.broken(), 84);
    assert_eq!(handle.local(), 84);
}
