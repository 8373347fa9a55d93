//! Guaranteed shares of one limit, lent while they are idle.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use http::Request;
use plimsoll_concurrency::{
    ConcurrencyLimit, ConcurrencyLimitPermit, ConcurrencyLimitWait, InvalidPartitions, Partitions,
    PartitionsPermit,
};
use plimsoll_core::{
    Kind, Policy, Rejection,
    policy::{Then, ThenWait, Verdict},
    test_kit::{Contract, KitRequest},
};
use tokio::time::{Instant, advance};

use crate::sim::{Body, CAPACITY, Demand, TIME, run, service};

type Name = &'static str;
/// The request is the name of its partition.
type Stack = Then<Partitions<Name, fn(&Name) -> Option<Name>>, ConcurrencyLimit>;
type Wait = ThenWait<PartitionsPermit, std::convert::Infallible, ConcurrencyLimitWait>;

fn stack(limit: ConcurrencyLimit, shares: &[(Name, f64)]) -> Stack {
    let shares = shares.iter().copied();
    let partitions = Partitions::new(limit.handle(), shares, (|name| Some(*name)) as fn(&_) -> _);
    Then(partitions.unwrap(), limit)
}

fn in_flight(stack: &Stack) -> Vec<usize> {
    let partitions = stack.0.handle();
    let figures = partitions.partitions();
    figures.map(|of| of.in_flight).collect()
}

enum Call<'a> {
    Inside(
        &'a Stack,
        Option<(PartitionsPermit, ConcurrencyLimitPermit)>,
    ),
    Waits(&'a Stack, std::pin::Pin<Box<Wait>>),
    Rejected(Rejection),
}

fn call(stack: &Stack, mut name: Name) -> Call<'_> {
    match stack.admit(&mut name, Instant::now()) {
        Verdict::Admit(permit) => Call::Inside(stack, Some(permit)),
        Verdict::Wait(wait) => Call::Waits(stack, Box::pin(wait)),
        Verdict::Reject(rejection) => Call::Rejected(rejection),
    }
}

impl Call<'_> {
    fn is_inside(&mut self) -> bool {
        if let Self::Waits(stack, wait) = self {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            match stack.poll_wait(wait.as_mut(), &mut "", Instant::now(), &mut cx) {
                std::task::Poll::Pending => {}
                std::task::Poll::Ready(Ok(permit)) => *self = Self::Inside(stack, Some(permit)),
                std::task::Poll::Ready(Err(rejection)) => *self = Self::Rejected(rejection),
            }
        }
        matches!(self, Self::Inside(..))
    }

    /// Returns the policy that rejected it, and the kind of the rejection.
    fn rejected_by(&self) -> Option<(Name, Kind)> {
        match self {
            Self::Rejected(rejection) => Some((rejection.policy(), rejection.kind())),
            _ => None,
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        match self {
            Self::Inside(stack, permit) => {
                if let Some(permit) = permit.take() {
                    Policy::<Name>::revoke(*stack, permit, now, now);
                }
            }
            Self::Waits(stack, wait) => Policy::<Name>::abandon(*stack, wait.as_mut(), now),
            Self::Rejected(_) => {}
        }
    }
}

fn ten() -> ConcurrencyLimit {
    ConcurrencyLimit::new(10).unwrap()
}

const HALVES: [(Name, f64); 2] = [("live", 0.5), ("batch", 0.5)];

#[tokio::test(start_paused = true)]
async fn idle_shares_are_lent_and_the_next_released_slot_goes_to_the_owner() {
    let limit = ten().queue(4, Duration::from_secs(1)).unwrap();
    let stack = stack(limit, &HALVES);
    let mut batch: Vec<_> = (0..10).map(|_| call(&stack, "batch")).collect();
    assert!(batch.iter_mut().all(Call::is_inside), "all of it");
    let over = call(&stack, "batch").rejected_by();
    assert_eq!(
        over,
        Some(("partition", Kind::Full)),
        "a borrowed slot is not queued for"
    );

    let (mut one, mut two) = (call(&stack, "live"), call(&stack, "live"));
    assert!(!one.is_inside() && !two.is_inside());
    batch.pop();
    assert!(call(&stack, "batch").rejected_by().is_some());
    assert!(one.is_inside() && !two.is_inside());
    batch.pop();
    assert!(two.is_inside());
    assert_eq!(in_flight(&stack), [2, 8, 0]);
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_a_slot_is_reserved_for_100_ms_after_a_rejection() {
    let stack = stack(ten(), &HALVES);
    let mut batch: Vec<_> = (0..10).map(|_| call(&stack, "batch")).collect();
    for _ in 0..2 {
        let rejected = call(&stack, "live").rejected_by();
        assert_eq!(rejected, Some(("concurrency", Kind::Full)));
    }
    batch.truncate(7);
    assert!(
        call(&stack, "batch").is_inside(),
        "one of three free slots is not reserved"
    );
    let mut borrowed = call(&stack, "batch");
    assert!(borrowed.is_inside());
    assert!(
        call(&stack, "batch").rejected_by().is_some(),
        "two are reserved"
    );
    let mut live = call(&stack, "live");
    assert!(live.is_inside());
    assert!(
        call(&stack, "batch").rejected_by().is_some(),
        "one is still reserved"
    );

    advance(Duration::from_millis(99)).await;
    assert!(call(&stack, "batch").rejected_by().is_some());
    advance(Duration::from_millis(1)).await;
    assert!(
        call(&stack, "batch").is_inside(),
        "the reservation has expired"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_reserved_after_a_waiter_timed_out() {
    let limit = ten().queue(4, Duration::from_millis(10)).unwrap();
    let stack = stack(limit, &HALVES);
    let mut batch: Vec<_> = (0..10).map(|_| call(&stack, "batch")).collect();
    let mut live = call(&stack, "live");
    advance(Duration::from_millis(10)).await;
    assert!(!live.is_inside());
    assert_eq!(live.rejected_by(), Some(("concurrency", Kind::Full)));
    batch.pop();
    assert!(call(&stack, "batch").rejected_by().is_some());
    assert!(call(&stack, "live").is_inside());
}

#[tokio::test(start_paused = true)]
async fn guarantees_follow_the_limit_and_are_rounded_up() {
    let stack = stack(
        ConcurrencyLimit::new(100).unwrap(),
        &[("a", 0.07), ("b", 0.9), ("c", 0.0)],
    );
    let guarantees = || -> Vec<_> {
        let handle = stack.0.handle();
        handle
            .partitions()
            .map(|of| (of.name, of.guarantee))
            .collect()
    };
    let names = [Some("a"), Some("b"), Some("c"), None];
    let expect = |guarantees: [usize; 4]| names.into_iter().zip(guarantees).collect::<Vec<_>>();
    assert_eq!(guarantees(), expect([7, 90, 0, 3]));
    stack.1.handle().set_limit(10).unwrap();
    assert_eq!(guarantees(), expect([1, 9, 0, 1]));
    stack.1.handle().set_limit(1000).unwrap();
    assert_eq!(guarantees(), expect([70, 900, 0, 30]));
}

#[tokio::test(start_paused = true)]
async fn requests_of_no_named_partition_are_in_the_rest() {
    let stack = stack(ten(), &[("live", 0.9)]);
    let _two = (call(&stack, "unheard of"), call(&stack, "live"));
    assert_eq!(in_flight(&stack), [1, 1]);
}

/// Returns the mean number in flight of each partition, in hundredths of the capacity.
async fn shares<const N: usize>(shares: [f64; N], queue: bool, demands: [Demand; N]) -> Vec<f64> {
    let mut limit = ConcurrencyLimit::new(100).unwrap();
    if queue {
        limit = limit.queue(100, Duration::from_millis(20)).unwrap();
    }
    let key = |req: &Request<Body>| req.extensions().get::<usize>().copied();
    let partitions = Partitions::new(limit.handle(), shares.into_iter().enumerate(), key).unwrap();
    let service = service((partitions, limit), 1);
    let tallies = run(&service, &demands, TIME).await;
    let in_flight = tallies.iter().map(|tally| tally.in_flight(TIME));
    in_flight.map(|mean| mean * 100.0 / CAPACITY).collect()
}

fn are_about(shares: &[f64], expected: &[f64]) {
    let near = shares
        .iter()
        .zip(expected)
        .all(|(a, b)| (a - b).abs() < 3.0);
    assert!(near, "{shares:?}, not {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn under_saturation_each_partition_has_its_guarantee_and_idle_slots_are_used() {
    let clients = Demand::Clients;
    for queue in [false, true] {
        let got = shares([0.7, 0.1, 0.2], queue, [200, 200, 200].map(clients)).await;
        are_about(&got, &[70.0, 10.0, 20.0]);
        let got = shares([0.7, 0.3], queue, [30, 200].map(clients)).await;
        are_about(&got, &[30.0, 70.0]);
        let got = shares([0.7, 0.3], queue, [0, 200].map(clients)).await;
        are_about(&got, &[0.0, 100.0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_requests_without_a_share_does_not_affect_the_other_partition() {
    let limit = ConcurrencyLimit::new(100).unwrap();
    let limit = limit.queue(100, Duration::from_millis(20)).unwrap();
    let key = |req: &Request<Body>| req.extensions().get::<usize>().copied();
    let partitions = Partitions::new(limit.handle(), [(0, 1.0), (1, 0.0)], key).unwrap();
    let service = service((partitions, limit), 1);
    let demands = [Demand::Open(50.0), Demand::Open(600.0)];
    let tallies = run(&service, &demands, TIME).await;
    let users = &tallies[0];
    let (answered, rejected) = (users.answered.load(Relaxed), users.rejected.load(Relaxed));
    assert!(
        answered > 7000 && rejected == 0,
        "{rejected} rejected of {answered}"
    );
    let prefetch = tallies[1].in_flight(TIME);
    assert!(prefetch > 40.0, "{prefetch}: it gets the remaining slots");
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_never_exceeded_and_guaranteed_requests_are_admitted_while_slots_are_free() {
    let stack = stack(
        ConcurrencyLimit::new(20).unwrap(),
        &[("a", 0.5), ("b", 0.25), ("c", 0.0)],
    );
    let (handle, limit) = (stack.0.handle(), stack.1.handle());
    let names = ["a", "b", "c", "rest"];
    let mut inside: [Vec<Call<'_>>; 4] = std::array::from_fn(|_| Vec::new());
    let mut random = fastrand::Rng::with_seed(3);
    let mut without_slot = 0;
    for step in 0..100_000 {
        if step % 1000 == 0 {
            limit.set_limit(random.usize(1..40)).unwrap();
        }
        advance(Duration::from_micros(random.u64(0..2000))).await;
        let at = random.usize(0..4);
        if random.u8(0..5) < 2 {
            inside[at].pop();
            continue;
        }
        let room = limit.in_flight() < limit.limit();
        let figures = handle.partitions().nth(at).unwrap();
        let mut call = call(&stack, names[at]);
        if call.is_inside() {
            assert!(room);
            inside[at].push(call);
        } else {
            without_slot += 1;
            assert!(
                !room || figures.in_flight >= figures.guarantee,
                "{figures:?}"
            );
        }
        assert_eq!(in_flight(&stack), inside.each_ref().map(Vec::len));
    }
    assert!(without_slot > 10_000);
    inside.iter_mut().for_each(Vec::clear);
    assert_eq!((in_flight(&stack), limit.in_flight()), (vec![0; 4], 0));
}

#[test]
fn law_09_bad_partitions_fail_at_construction_and_name_field_and_bound() {
    let make = |shares: &[(Name, f64)]| {
        let read = |name: &Name| Some(*name);
        let shares = shares.iter().copied();
        Partitions::new(ten().handle(), shares, read).map(drop)
    };
    assert_eq!(
        make(&[]).unwrap_err().to_string(),
        "partitions must be 1 to 64, got 0"
    );
    assert_eq!(
        make(&[("a", 1.5)]).unwrap_err().to_string(),
        "share must be in 0..=1, got 1.5"
    );
    assert!(make(&[("a", f64::NAN)]).is_err() && make(&[("a", -0.1)]).is_err());
    assert_eq!(
        make(&[("a", 0.75), ("b", 0.75)]).unwrap_err().to_string(),
        "sum of shares must be at most 1, got 1.5"
    );
    assert_eq!(
        make(&[("a", 0.1), ("a", 0.1)]),
        Err(InvalidPartitions::Name(1))
    );
    assert_eq!(
        make(&[("a", 0.1), ("b", 0.2), ("c", 0.7)]),
        Ok(()),
        "within float precision"
    );
}

#[tokio::test(start_paused = true)]
async fn partitions_of_a_limit_keep_the_laws() {
    for len in [None, Some(8)] {
        let make = move || {
            let mut limit = ConcurrencyLimit::new(3).unwrap();
            if let Some(len) = len {
                limit = limit.queue(len, Duration::from_secs(1)).unwrap();
            }
            let read = |_: &KitRequest| Some(1_u8);
            let partitions = Partitions::new(limit.handle(), [(1_u8, 0.9)], read);
            Then(partitions.unwrap(), limit)
        };
        Contract::new(make, |Then(partitions, limit)| {
            let inside: usize = partitions
                .handle()
                .partitions()
                .map(|of| of.in_flight)
                .sum();
            (inside + limit.handle().in_flight() + limit.handle().queued()) as u64
        })
        .capacity(3)
        .check_all()
        .await;
    }
}

#[test]
fn threads_leave_no_count_behind_and_never_exceed_the_limit() {
    let stack = stack(ten(), &HALVES);
    let start = Instant::now();
    std::thread::scope(|threads| {
        for thread in 0..4_u64 {
            let stack = &stack;
            threads.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                let mut inside = Vec::new();
                for step in 0..50_000_u64 {
                    let now = start + Duration::from_micros(20 * step);
                    if random.bool() {
                        let mut name = *random.choice(&["live", "batch", "rest"]).unwrap();
                        if let Verdict::Admit(permit) = stack.admit(&mut name, now) {
                            inside.push(permit);
                        }
                    } else if let Some(permit) = inside.pop() {
                        Policy::<Name>::revoke(stack, permit, now, now);
                    }
                    assert!(stack.1.handle().in_flight() <= 10);
                }
                for permit in inside {
                    Policy::<Name>::revoke(stack, permit, start, start);
                }
            });
        }
    });
    assert_eq!(
        (in_flight(&stack), stack.1.handle().in_flight()),
        (vec![0; 3], 0)
    );
}
