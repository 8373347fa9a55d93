//! A Redis that stalls, dies, or restarts empty.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use plimsoll_circuit_breaker::{CircuitBreaker, State};
use plimsoll_core::{Kind, Missing, Policy, policy::Verdict};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{OnFailure, RedisHandle, RedisRateLimit};
use tokio::{task::JoinSet, time::Instant};

use crate::{Caller, LONG, ask, builder, ms, server::Server, until};

const REPLICAS: u32 = 3;
/// Concurrent requests per replica.
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
            .per_key(by_name, Missing::Share, 10_000)
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

/// Concurrent callers, and the longest time that a request took.
struct Load {
    callers: JoinSet<Duration>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Callers that send a request, pause for two milliseconds, and repeat.
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
        // A task without requests measures how late the machine is.
        let idle = Arc::clone(&stop);
        callers.spawn(async move {
            let mut latest = Duration::ZERO;
            while !idle.load(SeqCst) {
                let due = Instant::now() + ms(5);
                tokio::time::sleep_until(due).await;
                latest = latest.max(due.elapsed());
            }
            // Plus the deadline, so that it is comparable with the requests.
            latest + DEADLINE
        });
        Self { callers, stop }
    }

    /// No request waited longer than the deadline, apart from the delays of the machine.
    async fn stop(self) {
        self.stop.store(true, SeqCst);
        let mut waits = self.callers.join_all().await;
        waits.sort();
        let slowest = waits[waits.len() - 1];
        // The task without requests is among them; on an idle machine it is the deadline.
        assert!(slowest < DEADLINE + ms(100), "the slowest took {slowest:?}");
    }
}

/// Takes what is left of a key, through all replicas.
async fn drain(fleet: &[Arc<RedisRateLimit<Key>>], key: &'static str) {
    for limit in fleet {
        let refused = limit.handle().rejected();
        // Until Redis rejects: on a busy machine a request may miss the deadline, and be rejected
        // by the local limit.
        while limit.handle().rejected() == refused {
            _ = ask(&**limit, &mut Caller(key)).await;
            tokio::task::yield_now().await;
        }
    }
}

async fn recovered(fleet: &[Arc<RedisRateLimit<Key>>], key: &'static str) {
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

/// A new key gets exactly its quota, through any replica.
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
    // A busy machine may miss a deadline. Then a replica decides on its own, and Redis still grants
    // at most the quota.
    assert!(after.0 - before.0 <= count, "Redis granted too much");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_delays_no_request_and_is_exact_again_when_resumed() {
    const COUNT: u32 = 3000;
    let server = Server::start();
    let fleet = fleet(&server, COUNT).await;
    let load = Load::start(&fleet, "k");
    tokio::time::sleep(ms(200)).await;
    server.pause();
    tokio::time::sleep(ms(1500)).await;
    let (timeouts, local) = (
        sum(&fleet, RedisHandle::timeouts),
        sum(&fleet, RedisHandle::local),
    );
    assert!(timeouts > 0, "some requests detect it");
    assert!(local > 1000, "the others decided without waiting: {local}");
    // The breaker and the closed connections kept the other requests from waiting.
    let worst = u64::from(REPLICAS) * 100;
    assert!(timeouts < worst, "{timeouts} waited for a paused Redis");
    server.resume();
    recovered(&fleet, "k").await;
    load.stop().await;
    drain(&fleet, "k").await;

    // Questions asked before the pause and read after it spent nothing, so all tokens were
    // admitted. Only what was granted just before the pause may be lost.
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
async fn a_killed_redis_delays_no_request_and_is_exact_again_when_restarted() {
    const COUNT: u32 = 3000;
    let mut server = Server::start();
    let fleet = fleet(&server, COUNT).await;
    let load = Load::start(&fleet, "k");
    tokio::time::sleep(ms(200)).await;
    server.kill();
    until("the loss is noticed", || async {
        fleet.iter().all(|limit| limit.handle().connected() == 0)
    })
    .await;
    let timeouts = sum(&fleet, RedisHandle::timeouts);
    tokio::time::sleep(ms(500)).await;
    // Dead, not slow: no request waits.
    assert_eq!(sum(&fleet, RedisHandle::timeouts), timeouts);
    assert!(sum(&fleet, RedisHandle::local) > 500);
    assert!(sum(&fleet, RedisHandle::lost) >= u64::from(REPLICAS));

    // Empty: no counters, and no scripts but those that the replicas load.
    server.restart();
    recovered(&fleet, "k").await;
    tokio::time::sleep(ms(200)).await;
    load.stop().await;
    is_exact(&fleet, "fresh", COUNT.into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flushed_scripts_are_loaded_again_without_an_error() {
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
    assert_eq!((handle.admitted(), handle.rejected()), (100, 1));
    assert_eq!((handle.errors(), handle.local(), handle.lost()), (0, 0, 0));
}

/// No server listens at this address.
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
        // At once: without a connection there is no answer to wait for.
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
            Verdict::Wait(_) => panic!("there is no connection"),
        }
    }
    assert_eq!(admitted, 2, "a third of 6");
    let handle = limit.handle();
    assert_eq!((handle.local(), handle.unreachable()), (20, 20));
}

#[tokio::test]
async fn a_revoked_local_permit_is_refunded() {
    let limit = nowhere().replicas(6).connect().expect("valid");
    for n in 0..5 {
        let now = Instant::now();
        let Verdict::Admit(permit) = limit.admit(&mut (), now) else {
            panic!("request {n}: the permit before was refunded")
        };
        Policy::<()>::revoke(&limit, permit, now, now);
    }
}

#[tokio::test]
async fn open_admits_all_and_closed_rejects_all() {
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
async fn a_paused_redis_delays_a_few_requests_by_the_deadline_and_no_others() {
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
        let decided =
            std::future::poll_fn(|cx| limit.poll_wait(wait.as_mut(), &mut (), Instant::now(), cx))
                .await;
        assert!(decided.is_err());
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

/// Callers with their own, shorter timeouts report nothing to the breaker. The stalled connection
/// is detected.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_is_noticed_although_all_callers_leave_before_the_deadline() {
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
async fn questions_to_a_paused_redis_spend_nothing_when_it_resumes() {
    let server = Server::start();
    // A breaker that never opens, so that all questions are sent.
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
    // The connection is closed. What was written to it is still read.
    until("it is closed", || async { handle.lost() > 0 }).await;
    server.resume();
    handle.wait_connected().await;
    let mut asked = 0;
    while ask(&*limit, &mut ()).await.is_ok() || handle.rejected() == 0 {
        asked += 1;
        assert!(asked < 1000, "there is a limit");
    }
    assert_eq!(handle.admitted(), 100, "all tokens go to later requests");
}

#[tokio::test]
async fn a_queue_is_bounded_by_its_setting() {
    let server = Server::start();
    let limit = builder(&server)
        .quota(Quota::per_second(1000).named("q"))
        .connections(1)
        .queue(16)
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    // Without a yield: the task that empties the queue does not run on this thread meanwhile.
    let mut waits = Vec::new();
    for _ in 0..100 {
        if let Verdict::Wait(wait) = limit.admit(&mut (), Instant::now()) {
            waits.push(wait);
        }
    }
    assert_eq!(waits.len(), 16);
    // The breaker counts a full queue as a failure.
    assert!(handle.queue_full() >= 10);
    assert_eq!(handle.queue_full() + handle.broken(), 84);
    assert_eq!(handle.local(), 84);
}
