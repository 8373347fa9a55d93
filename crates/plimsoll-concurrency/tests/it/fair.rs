//! Fair shares between keys, through real gates on the paused clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use plimsoll_concurrency::{
    Concurrency, ConcurrencyPermit, FairShare, FairShareHandle, FairSharePermit,
};
use plimsoll_core::{
    Cell, Keyed, Kind, Missing, Policy, Rejection, Then, Verdict,
    test_kit::{Contract, KitRequest},
};
use tokio::time::Instant;

use crate::sim::{Body, CAPACITY, Demand, Service, TIME, Tally, run, service};

/// A service of `limit` slots, shared fairly.
fn shared(limit: Concurrency, seed: u64) -> (Service, FairShareHandle) {
    let each = FairShare::new(limit.handle());
    let handle = each.handle();
    let key = |req: &Request<Body>| req.extensions().get::<usize>().copied();
    let fair = Keyed::new(key, Missing::Share, 10_000, move || each.cell()).unwrap();
    (service((fair, limit), seed), handle)
}

fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

fn hundred(queue: bool) -> Concurrency {
    let limit = Concurrency::new(100).unwrap();
    if queue {
        limit.queue(50, Duration::from_millis(20)).unwrap()
    } else {
        limit
    }
}

/// What they get, in hundredths of the capacity.
async fn shares(queue: bool, demands: &[Demand]) -> Vec<f64> {
    let (service, _) = shared(hundred(queue), 1);
    let tallies = run(&service, demands, TIME).await;
    tallies
        .iter()
        .map(|tally| tally.in_flight(TIME) * 100.0 / CAPACITY)
        .collect()
}

fn are_about(shares: &[f64], expected: &[f64], within: f64) {
    let normalised: Vec<_> = shares.iter().zip(expected).map(|(a, b)| a / b).collect();
    assert!(
        normalised.iter().all(|of| (of - 1.0).abs() < within),
        "{shares:?}, not {expected:?}"
    );
    assert!(jain(&normalised) >= 0.99, "{normalised:?}");
}

#[tokio::test(start_paused = true)]
async fn clients_that_want_10_50_and_200_of_100_get_10_45_and_45() {
    let demands = [10, 50, 200].map(Demand::Clients);
    for queue in [false, true] {
        are_about(&shares(queue, &demands).await, &[10.0, 45.0, 45.0], 0.06);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_at_random_that_want_10_50_and_200_of_100_get_about_10_45_and_45() {
    let demands = [10.0, 50.0, 200.0].map(Demand::Open);
    for queue in [false, true] {
        are_about(&shares(queue, &demands).await, &[10.0, 45.0, 45.0], 0.12);
    }
}

#[tokio::test(start_paused = true)]
async fn equals_get_the_same_at_any_excess() {
    for demand in [Demand::Open(100.0), Demand::Clients(100)] {
        let shares = shares(false, &[demand; 4]).await;
        are_about(&shares, &[25.0; 4], 0.05);
    }
}

/// An elephant and 100 mice that want 20 of 100 slots together.
fn elephant_and_mice(elephant: Demand) -> Vec<Demand> {
    std::iter::once(elephant)
        .chain([Demand::Open(0.2); 100])
        .collect()
}

#[tokio::test(start_paused = true)]
async fn an_elephant_does_not_harm_a_hundred_mice() {
    let refused = |tallies: &[Arc<Tally>]| {
        let count = |read: fn(&Tally) -> &AtomicU64| -> u64 {
            let mice = tallies[1..].iter();
            mice.map(|tally| read(tally).load(Relaxed)).sum()
        };
        let (answered, refused) = (
            count(|tally| &tally.answered),
            count(|tally| &tally.refused),
        );
        refused as f64 / (answered + refused) as f64
    };
    for elephant in [Demand::Open(300.0), Demand::Clients(300)] {
        let demands = elephant_and_mice(elephant);
        let (fair, _) = shared(hundred(true), 1);
        let tallies = run(&fair, &demands, TIME).await;
        let all: f64 = tallies.iter().map(|tally| tally.in_flight(TIME)).sum();
        let mice = refused(&tallies);
        assert!(mice < 0.002, "{mice} of the mice are refused");
        assert!(all > 0.95 * CAPACITY, "{all}: shares cost capacity");
    }
    let bare = service(hundred(true), 1);
    let demands = elephant_and_mice(Demand::Clients(300));
    let mice = refused(&run(&bare, &demands, TIME).await);
    assert!(mice > 0.5, "only {mice} of the mice without shares");
}

#[tokio::test(start_paused = true)]
async fn a_key_alone_is_lent_everything_and_the_limit_itself_says_no() {
    let (service, handle) = shared(hundred(false), 1);
    let tallies = run(&service, &[Demand::Open(200.0)], TIME).await;
    assert!(tallies[0].in_flight(TIME) > 0.99 * CAPACITY);
    assert_eq!((handle.level(), handle.rejected()), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn what_others_leave_goes_to_those_who_want_more() {
    let (service, handle) = shared(hundred(false), 1);
    run(&service, &[Demand::Clients(100); 4], TIME).await;
    assert!(handle.level().unwrap() < 40.0);
    // Three have left. The fourth gets all but the headroom at once, and that too after a second.
    let tallies = run(&service, &[Demand::Clients(200)], TIME).await;
    assert!(tallies[0].in_flight(TIME) > 0.99 * CAPACITY);
    assert_eq!(handle.level(), None);
}

/// A policy's verdict on one request of a key, taken back at the end.
fn ask<'a>(cell: &'a FairShare, limit: &'a Concurrency) -> Result<Inside<'a>, Rejection> {
    match Then(cell, limit).admit(&mut (), Instant::now()) {
        Verdict::Admit(permit) => Ok(Inside(Then(cell, limit), Some(permit))),
        Verdict::Reject(rejection) => Err(rejection),
        Verdict::Wait(_) => unreachable!("there is no queue"),
    }
}

struct Inside<'a>(
    Then<&'a FairShare, &'a Concurrency>,
    Option<(FairSharePermit, ConcurrencyPermit)>,
);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let (permit, now) = (self.1.take().unwrap(), Instant::now());
        Policy::<()>::revoke(&self.0, permit, now, now);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_over_its_share_is_told_so_and_who_is_not_is_told_that_the_limit_is_full() {
    let limit = Concurrency::new(10).unwrap();
    let elephant = FairShare::new(limit.handle());
    let mouse = elephant.cell();
    let mut inside: Vec<_> = (0..10).map(|_| ask(&elephant, &limit).unwrap()).collect();
    assert_eq!(
        ask(&elephant, &limit).map(drop).unwrap_err().kind(),
        Kind::Full
    );
    for _ in 0..2 {
        tokio::time::advance(Duration::from_millis(5)).await;
        assert_eq!(
            ask(&mouse, &limit).map(drop).unwrap_err().kind(),
            Kind::Full
        );
    }
    assert!(elephant.handle().level().unwrap() < 10.0);
    inside.pop();
    let rejection = ask(&elephant, &limit).map(drop).unwrap_err();
    assert_eq!(
        (rejection.policy(), rejection.kind(), rejection.wait()),
        ("fair-share", Kind::OverQuota, Some(Duration::from_secs(1)))
    );
    assert_eq!(elephant.handle().rejected(), 1);
    assert!(
        ask(&mouse, &limit).is_ok(),
        "the slot is kept for the mouse"
    );
    assert_eq!((elephant.in_flight(), mouse.in_flight()), (9, 0));
}

#[tokio::test(start_paused = true)]
async fn shares_hold_nobody_back_below_nine_tenths_nor_a_key_without_a_request_inside() {
    let limit = Concurrency::new(20).unwrap();
    let first = FairShare::new(limit.handle());
    let cells: Vec<_> = (0..30).map(|_| first.cell()).collect();
    let mut inside: Vec<Vec<Inside<'_>>> = cells.iter().map(|_| Vec::new()).collect();
    let mut draw = fastrand::Rng::with_seed(7);
    let mut held_back = 0;
    for _ in 0..200_000 {
        // The first keys ask more than the last.
        let of = draw.usize(1..=cells.len());
        let key = draw.usize(0..of);
        tokio::time::advance(Duration::from_micros(draw.u64(0..400))).await;
        if draw.bool() {
            inside[key].pop();
            continue;
        }
        let used = limit.handle().in_flight();
        match ask(&cells[key], &limit) {
            Ok(permit) => inside[key].push(permit),
            Err(rejection) if rejection.kind() == Kind::Full => assert_eq!(used, 20),
            Err(_) => {
                held_back += 1;
                assert!(used >= 18 && !inside[key].is_empty());
            }
        }
        assert_eq!(cells[key].in_flight(), inside[key].len());
    }
    assert!(held_back > 100, "{held_back}");
    drop(inside);
    assert_eq!(limit.handle().in_flight(), 0);
    let now = Instant::now();
    assert!(
        cells
            .iter()
            .all(|cell| cell.in_flight() == 0 && cell.settles_in(now).is_zero())
    );
}

#[tokio::test(start_paused = true)]
async fn fair_shares_of_a_limit_keep_the_laws() {
    let make = || {
        let limit = Concurrency::new(3).unwrap();
        let each = FairShare::new(limit.handle());
        let key = |_: &KitRequest| Some(1_u8);
        let fair = Keyed::new(key, Missing::Share, 512, move || each.cell()).unwrap();
        Then(fair, limit)
    };
    Contract::new(make)
        .capacity(3)
        .spent(|Then(fair, limit)| {
            let of_key = fair.handle().with_cell(1_u8, FairShare::in_flight);
            (limit.handle().in_flight() + of_key.unwrap_or(0)) as u64
        })
        .check_all()
        .await;
}
