//! Models of wakers: no future of a stage waits for a wake that has come.

use std::{future::poll_fn, sync::Arc, task::Poll};

use loom::{future::block_on, thread};

use super::{control::Control, slots::Slots};
use crate::Demand;

#[test]
fn a_future_that_is_woken_while_the_stage_is_polled_is_polled_again() {
    loom::model(|| {
        let demand = Demand::new();
        let requesting = demand.clone();
        let waker = thread::spawn(move || requesting.request(1).unwrap());
        let mut slots = Slots::new(1);
        let index = slots.start(async move { demand.acquire().await.is_ok() });
        let mut done = Vec::new();
        block_on(poll_fn(|cx| {
            slots.poll_woken(cx.waker(), &mut done);
            if done.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
        assert_eq!(slots.take(index), Some(true));
        waker.join().unwrap();
    });
}

#[test]
fn two_futures_that_are_woken_at_once_are_both_polled() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let mut slots = Slots::new(2);
        let wakers = [0, 1].map(|_| {
            let demand = Demand::new();
            let requesting = demand.clone();
            slots.start(async move { demand.acquire().await.is_ok() });
            thread::spawn(move || requesting.request(1).unwrap())
        });
        let mut done = Vec::new();
        block_on(poll_fn(|cx| {
            slots.poll_woken(cx.waker(), &mut done);
            if done.len() < 2 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        }));
        for waker in wakers {
            waker.join().unwrap();
        }
    });
}

#[test]
fn a_request_to_stop_wakes_the_pipeline() {
    loom::model(|| {
        let control = Arc::new(Control::new());
        let aborting = Arc::clone(&control);
        let aborter = thread::spawn(move || aborting.abort());
        block_on(poll_fn(|cx| {
            control.register(cx.waker());
            if control.is_aborted() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        aborter.join().unwrap();
    });
}
