//! Models of credit and wakers: no wake-up and no credit is lost, in any interleaving.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use loom::{future::block_on, thread};

use crate::Demand;

/// Runs a model of three threads with at most two preemptions, which find most faults; all of them
/// would take minutes.
fn three_threads(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

/// Polls once, and drops the future. Returns whether it was ready.
fn poll_and_drop(future: impl Future) -> bool {
    let future = pin!(future);
    future
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn a_producer_that_waits_is_woken_by_a_request() {
    loom::model(|| {
        let demand = Demand::new();
        let requesting = demand.clone();
        let consumer = thread::spawn(move || {
            requesting.request(1).unwrap();
            requesting.request(1).unwrap();
        });
        block_on(demand.acquire()).unwrap();
        block_on(demand.acquire()).unwrap();
        consumer.join().unwrap();
        assert_eq!(demand.try_acquire(), Ok(false));
    });
}

#[test]
fn a_producer_that_waits_is_woken_by_a_cancellation() {
    loom::model(|| {
        let demand = Demand::new();
        let cancelling = demand.clone();
        let consumer = thread::spawn(move || cancelling.cancel());
        assert!(block_on(demand.acquire()).is_err());
        assert!(consumer.join().unwrap());
        assert!(!demand.cancel());
    });
}

#[test]
fn a_watcher_is_woken_by_a_cancellation() {
    loom::model(|| {
        let demand = Demand::new();
        let cancelling = demand.clone();
        let consumer = thread::spawn(move || cancelling.cancel());
        block_on(demand.cancelled());
        consumer.join().unwrap();
    });
}

#[test]
fn two_producers_share_two_credits() {
    three_threads(|| {
        let demand = Demand::new();
        let producers = [0, 1].map(|_| {
            let demand = demand.clone();
            thread::spawn(move || block_on(demand.acquire()).unwrap())
        });
        demand.request(2).unwrap();
        for producer in producers {
            producer.join().unwrap();
        }
        assert_eq!(demand.outstanding(), 0);
    });
}

#[test]
fn a_cancelled_acquire_hands_its_credit_over() {
    three_threads(|| {
        let demand = Demand::new();
        let (dropped, waiting) = (demand.clone(), demand.clone());
        let gone = thread::spawn(move || poll_and_drop(dropped.acquire()));
        let producer = thread::spawn(move || block_on(waiting.acquire()).unwrap());
        demand.request(1).unwrap();
        if gone.join().unwrap() {
            // The other one took the credit.
            demand.request(1).unwrap();
        }
        producer.join().unwrap();
        assert_eq!(demand.outstanding(), 0);
    });
}

#[test]
fn credit_is_never_taken_twice() {
    loom::model(|| {
        let demand = Demand::new();
        demand.request(1).unwrap();
        let other = demand.clone();
        let taken = thread::spawn(move || other.try_acquire().unwrap());
        let here = demand.try_acquire().unwrap();
        assert!(taken.join().unwrap() ^ here);
    });
}

#[test]
fn a_request_and_a_cancellation_leave_no_credit() {
    loom::model(|| {
        let demand = Demand::new();
        let requesting = demand.clone();
        let consumer = thread::spawn(move || requesting.request(3).unwrap());
        demand.cancel();
        consumer.join().unwrap();
        assert_eq!(demand.outstanding(), 0);
        assert!(block_on(demand.acquire()).is_err());
    });
}
