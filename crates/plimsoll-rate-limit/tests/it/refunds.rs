//! Refunds of requests that were rejected after a wait in a later policy.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use plimsoll_core::{GateLayer, Kind, Missing, Outcome, Policy, Rejection, policy::Verdict};
use plimsoll_rate_limit::{Quota, RateLimit};
use proptest::{collection::vec, prelude::*, sample::Index};
use tokio::{
    task::yield_now,
    time::{Instant, Sleep, advance, sleep},
};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{ask, limit, ms, revoke};

const MS: u64 = 1_000_000;

/// Admits as many requests as it has slots. The others wait for `max_wait` and are rejected.
struct Queue {
    slots: AtomicUsize,
    max_wait: Duration,
}

impl Queue {
    fn new(slots: usize, max_wait: Duration) -> Self {
        Self {
            slots: AtomicUsize::new(slots),
            max_wait,
        }
    }
}

impl<Req> Policy<Req> for Queue {
    type Permit = ();
    type Wait = Sleep;

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Sleep> {
        match self
            .slots
            .fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1))
        {
            Ok(_) => Verdict::Admit(()),
            Err(_) => Verdict::Wait(sleep(self.max_wait)),
        }
    }

    fn poll_wait(
        &self,
        wait: Pin<&mut Sleep>,
        _: &mut Req,
        _: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        ready!(wait.poll(cx));
        Poll::Ready(Err(Rejection::new("queue", Kind::Full)))
    }

    fn abandon(&self, _: Pin<&mut Sleep>, _: Instant) {}
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

/// Runs until all tasks are waiting.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

/// Sends a hundred requests at once through the limit and a queue with one slot, until 99 are
/// rejected.
async fn a_hundred_requests_of_which_one_runs<P>(limit: &Arc<P>)
where
    P: Policy<Request<()>> + 'static,
{
    let layer = GateLayer::new((Arc::clone(limit), Queue::new(1, ms(50))));
    let service = layer.layer(service_fn(|_: Request<()>| async {
        sleep(Duration::from_secs(3600)).await;
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::new())))
    }));
    let calls: Vec<_> = (0..100)
        .map(|_| tokio::spawn(service.clone().oneshot(Request::new(()))))
        .collect();
    settle().await;
    advance(ms(50)).await;
    settle().await;
    let over = calls.iter().filter(|call| call.is_finished()).count();
    assert_eq!(over, 99, "rejected after their wait");
    for call in &calls {
        call.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn law_03_waiters_that_are_rejected_have_spent_nothing() {
    for rate in [50, 1000] {
        let limit = Arc::new(limit(Quota::per_second(rate).burst(100)));
        a_hundred_requests_of_which_one_runs(&limit).await;
        assert_eq!(limit.available(Instant::now()), 100, "at {rate}/s");
    }
    // Without a refill, exactly one token is missing.
    let limit = Arc::new(limit(Quota::per_hour(100)));
    a_hundred_requests_of_which_one_runs(&limit).await;
    assert_eq!(limit.available(Instant::now()), 99);
}

#[tokio::test(start_paused = true)]
async fn law_03_waiters_of_one_key_that_are_rejected_have_spent_nothing() {
    for (rate, left) in [(50, 100), (1000, 100)] {
        let key = |_: &Request<()>| Some(7_u8);
        let quota = Quota::per_second(rate).burst(100);
        let limit = RateLimit::new(quota)
            .expect("valid")
            .per_key(key, Missing::Share, 10)
            .expect("valid");
        let limit = Arc::new(limit);
        a_hundred_requests_of_which_one_runs(&limit).await;
        let available = limit.handle().available(7_u8, Instant::now());
        assert_eq!(available, Some(left), "at {rate}/s");
    }
}

#[tokio::test(start_paused = true)]
async fn waiters_are_refunded_each_of_several_quotas() {
    let quotas = [
        Quota::per_second(1000).burst(100),
        Quota::per_hour(100),
        Quota::per_day(100).fixed_window(),
    ];
    let limit = Arc::new(RateLimit::all(quotas).expect("valid"));
    a_hundred_requests_of_which_one_runs(&limit).await;
    assert_eq!(limit.available(Instant::now()), 99);
}

/// Orders in which all requests but the first are revoked.
fn orders(count: usize) -> [Vec<usize>; 3] {
    let forward: Vec<_> = (1..count).collect();
    let back = forward.iter().rev().copied().collect();
    // Coprime to the count, so each index once.
    let mixed = forward.iter().map(|n| n * 371 % count).collect();
    [forward, back, mixed]
}

#[test]
fn the_order_in_which_waiters_are_revoked_makes_no_difference() {
    for order in orders(100) {
        let limit = limit(Quota::per_second(50).burst(100));
        let start = Instant::now();
        let permits: Vec<_> = (0..100)
            .map(|_| ask(&limit, start).expect("full"))
            .collect();
        let mut now = start + ms(50);
        for at in &order {
            revoke(&limit, permits[*at], start, now);
            now += Duration::from_micros(1);
        }
        assert_eq!(limit.available(now), 100, "{:?}", &order[..3]);
    }
}

#[test]
fn a_thousand_waiters_are_revoked_in_any_order() {
    for order in orders(1000) {
        let limit = limit(Quota::per_hour(1000));
        let start = Instant::now();
        let permits: Vec<_> = (0..1000)
            .map(|_| ask(&limit, start).expect("full"))
            .collect();
        let now = start + ms(50);
        for at in &order {
            revoke(&limit, permits[*at], start, now);
        }
        assert_eq!(limit.available(now), 999, "{:?}", &order[..3]);
    }
}

/// A request may have waited in an earlier queue since the window before the one from which it
/// took.
#[test]
fn a_window_refunds_what_was_taken_in_it() {
    for quota in [
        Quota::per_minute(5).fixed_window(),
        Quota::per_minute(5).sliding_window(),
    ] {
        let limit = limit(quota);
        let came = Instant::now();
        assert_eq!(limit.available(came), 5);
        let taken = came + Duration::from_secs(60);
        let permits: Vec<_> = (0..5).map(|_| ask(&limit, taken).expect("full")).collect();
        for permit in permits {
            revoke(&limit, permit, came, taken + ms(50));
        }
        assert_eq!(limit.available(taken + ms(50)), 5, "{quota:?}");
    }
}

/// Waves of waiters are rejected one after the other. The bucket is as full after the last as after
/// the first.
#[test]
fn waves_of_waiters_do_not_add_up() {
    let limit = limit(Quota::per_second(50).burst(100));
    let mut now = Instant::now();
    for wave in 0..1000 {
        let permits: Vec<_> = (0..90).map(|_| ask(&limit, now).expect("full")).collect();
        let taken = now;
        now += ms(50);
        for permit in permits {
            revoke(&limit, permit, taken, now);
        }
        assert_eq!(limit.available(now), 100, "after wave {wave}");
    }
}

/// A bucket that replays all requests that were not revoked.
struct Replay {
    increment: u64,
    burst: u64,
    /// The time, and whether the request still counts.
    log: Vec<(u64, bool)>,
}

impl Replay {
    fn available(&self, now: u64) -> u64 {
        let counted = self.log.iter().filter(|(_, counts)| *counts);
        let tat = counted.fold(0, |tat, (at, _)| tat.max(*at) + self.increment);
        (self.burst * self.increment).saturating_sub(tat.saturating_sub(now)) / self.increment
    }
}

#[derive(Debug, Clone)]
enum Step {
    Forward(u64),
    Take(usize),
    /// Revokes this many, from an index on.
    Revoke(Index, usize),
    /// Revokes those that were admitted first.
    RevokeOldest(usize),
    /// The request runs, so it can no longer be revoked.
    Run(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..60 * MS).prop_map(Step::Forward),
        1 => (0..10 * MS).prop_map(|at| Step::Forward(at * 100)),
        8 => (1_usize..15).prop_map(Step::Take),
        4 => (any::<Index>(), 1_usize..10).prop_map(|(from, n)| Step::Revoke(from, n)),
        3 => (1_usize..10).prop_map(Step::RevokeOldest),
        3 => any::<Index>().prop_map(Step::Run),
    ];
    vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Any order of admissions, runs and revocations: the bucket is never fuller than without the
    /// revoked requests, and lacks at most the tokens that are refilled within the longest wait.
    #[test]
    fn revoked_requests_leave_the_bucket_as_without_them(
        burst in 1_u32..60,
        keyed in any::<bool>(),
        steps in steps(),
    ) {
        let quota = Quota::per_second(100).burst(burst);
        let key = |(): &()| Some(1_u8);
        let (plain, per_key) = (limit(quota), RateLimit::new(quota).expect("valid").per_key(key, Missing::Share, 10).expect("valid"));
        let start = Instant::now();
        prop_assert!(plain.available(start) > 0); // the epoch
        prop_assert!(per_key.handle().available(1_u8, start).is_none());
        let mut model = Replay { increment: 10 * MS, burst: burst.into(), log: Vec::new() };
        let (mut at, mut held, mut longest) = (0, Vec::new(), 0);
        for step in steps {
            let now = start + Duration::from_nanos(at);
            let mut out: Vec<usize> = Vec::new();
            match step {
                Step::Forward(nanos) => at += nanos,
                Step::Take(count) => for _ in 0..count {
                    let (one, other) = (plain.admit(&mut (), now), per_key.admit(&mut (), now));
                    match (one, other) {
                        (Verdict::Admit(one), Verdict::Admit(other)) => {
                            held.push((at, one, other, model.log.len()));
                            model.log.push((at, true));
                        }
                        (Verdict::Reject(_), Verdict::Reject(_)) => break,
                        _ => prop_assert!(false, "with a key it decides differently"),
                    }
                },
                Step::Revoke(from, count) if !held.is_empty() => {
                    let from = from.index(held.len());
                    // The last first.
                    out = (from..held.len().min(from + count)).rev().collect();
                }
                Step::RevokeOldest(count) => out = vec![0; count.min(held.len())],
                Step::Run(index) if !held.is_empty() => { held.remove(index.index(held.len())); }
                Step::Revoke(..) | Step::Run(_) => {}
            }
            for index in out {
                let (taken, one, other, entry) = held.remove(index);
                let admitted = start + Duration::from_nanos(taken);
                revoke(&plain, one, admitted, now);
                Policy::<()>::revoke(&per_key, other, admitted, now);
                model.log[entry].1 = false;
                longest = longest.max(at - taken);
            }
            let now = start + Duration::from_nanos(at);
            let left = if keyed {
                per_key.handle().available(1_u8, now).unwrap_or(burst.into())
            } else {
                plain.available(now)
            };
            let exact = model.available(at);
            prop_assert!(left <= exact, "{left} instead of {exact} at {at} ns");
            let wait = longest.div_ceil(model.increment);
            prop_assert!(left + wait >= exact, "{left} instead of {exact}, at most {wait} less, at {at} ns");
        }
    }
}
