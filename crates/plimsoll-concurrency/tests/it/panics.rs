//! A user's closure panics: the call fails, and no slot is lost. (For algorithms, see `sampler`.)

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle, FairShare, Partitions};
use plimsoll_core::{
    Choose, Class, Missing, Outcome, Policy, Priority, When,
    policy::{Then, Verdict},
};
use tokio::time::Instant;

use crate::MS;

/// The request is `true` if the closure that reads it panics.
type Req = bool;

/// Reads any value from a request, unless it panics.
fn read<T: Copy + Send + Sync>(value: T) -> impl Fn(&Req) -> T + Clone + Send + Sync {
    move |panics| {
        assert!(!panics, "a closure's bug");
        value
    }
}

fn full(queue: usize) -> ConcurrencyLimit {
    let limit = ConcurrencyLimit::new(1).unwrap();
    match queue {
        0 => limit,
        len => limit.queue(len, 1000 * MS).unwrap(),
    }
}

fn inside(handle: &ConcurrencyLimitHandle) -> usize {
    handle.in_flight() + handle.queued()
}

/// A request whose closure panics must not take anything.
fn panics_and_takes_nothing<P: Policy<Req>>(policy: &P, spent: impl Fn() -> usize) {
    let now = Instant::now();
    for _ in 0..3 {
        let before = spent();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            drop(policy.admit(&mut true, now));
        }));
        assert!(panicked.is_err(), "the closure is called");
        assert_eq!(spent(), before, "the request has taken something");
    }
}

fn admits_and_releases<P: Policy<Req>>(policy: &P, spent: impl Fn() -> usize) {
    let now = Instant::now();
    let Verdict::Admit(permit) = policy.admit(&mut false, now) else {
        panic!("a slot is free");
    };
    assert!(spent() > 0);
    policy.finish(permit, &Outcome::new(Class::Success, Duration::ZERO, now));
    assert_eq!(spent(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_priority_or_a_deadline_that_panics_takes_neither_slot_nor_place() {
    let by_priority = full(4).priorities(read(Priority::default()));
    let by_deadline = full(4).deadlines(|panics: &Req, _: Instant| {
        read(())(panics);
        None
    });
    // The closures are called only when no slot is free.
    let (first, second) = (by_priority.handle(), by_deadline.handle());
    let now = Instant::now();
    let Verdict::Admit(one) = by_priority.admit(&mut false, now) else {
        panic!("a slot is free");
    };
    let Verdict::Admit(two) = by_deadline.admit(&mut false, now) else {
        panic!("a slot is free");
    };
    panics_and_takes_nothing(&by_priority, || inside(&first));
    panics_and_takes_nothing(&by_deadline, || inside(&second));
    by_priority.revoke(one, now, now);
    by_deadline.revoke(two, now, now);
    admits_and_releases(&by_priority, || inside(&first));
    admits_and_releases(&by_deadline, || inside(&second));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_an_adaptive_limit_reads_before_it_admits_takes_no_slot_when_it_panics() {
    let limit = ConcurrencyLimit::adaptive().deadlines(|panics: &Req, _: Instant| {
        read(())(panics);
        None
    });
    let handle = limit.handle();
    let (mut now, mut panicked) = (Instant::now(), 0);
    for _ in 0..200 {
        match catch_unwind(AssertUnwindSafe(|| limit.admit(&mut true, now))) {
            Ok(Verdict::Admit(permit)) => {
                now += MS;
                limit.finish(permit, &Outcome::new(Class::Success, MS, now));
            }
            Ok(_) => panic!("a slot is free"),
            Err(_) => panicked += 1,
        }
        assert_eq!(inside(&handle), 0);
    }
    assert!(panicked >= 2, "the closure is called in each window");
}

#[tokio::test(start_paused = true)]
async fn a_share_or_a_partition_whose_closure_panics_counts_nothing() {
    let limit = full(0);
    let handle = limit.handle();
    let fair = FairShare::new(limit.handle()).priorities(read(Priority::default()));
    let spent = || fair.in_flight() + inside(&handle);
    panics_and_takes_nothing(&Then(&fair, &limit), spent);
    admits_and_releases(&Then(&fair, &limit), spent);

    let partitions = Partitions::new(limit.handle(), [((), 0.5)], read(Some(()))).unwrap();
    let figures = partitions.handle();
    let spent = || {
        let of_partitions: usize = figures.partitions().map(|of| of.in_flight).sum();
        of_partitions + inside(&handle)
    };
    panics_and_takes_nothing(&Then(&partitions, &limit), spent);
    admits_and_releases(&Then(&partitions, &limit), spent);
}

#[tokio::test(start_paused = true)]
async fn permits_of_earlier_policies_are_released_when_a_later_closure_panics() {
    let limit = full(0);
    let handle = limit.handle();
    let after = FairShare::new(full(0).handle()).priorities(read(Priority::default()));
    let both = Then(&limit, &after);
    panics_and_takes_nothing(&both, || inside(&handle));
    admits_and_releases(&both, || inside(&handle));
}

#[tokio::test(start_paused = true)]
async fn a_limit_for_each_key_or_chosen_one_loses_nothing_when_its_closure_panics() {
    let each = full(0);
    let keyed = each.per_key(read(Some(1_u8)), Missing::Share, 512).unwrap();
    let cells = keyed.handle();
    let spent = || {
        let of_key = cells.with_cell(1_u8, |cell: &ConcurrencyLimit| inside(&cell.handle()));
        of_key.unwrap_or(0)
    };
    panics_and_takes_nothing(&keyed, spent);
    admits_and_releases(&keyed, spent);

    let limit = full(0);
    let handle = limit.handle();
    let chosen = Choose::new(read(Some(0)), [limit.route()], limit.route());
    panics_and_takes_nothing(&chosen, || inside(&handle));
    admits_and_releases(&chosen, || inside(&handle));
    let when = When::new(read(true), limit);
    panics_and_takes_nothing(&when, || inside(&handle));
    admits_and_releases(&when, || inside(&handle));
}
