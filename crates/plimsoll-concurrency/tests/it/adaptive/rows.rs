//! Ordinary traffic that once brought the limit down, on the paused clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use http::Request;
use plimsoll_concurrency::{Adaptive, Algorithm as _, ConcurrencyLimit, Window};
use plimsoll_core::Deadline;
use tower::ServiceExt as _;

use super::server::{Body, Lab};
use crate::{MS, recipes::Workers};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn after_an_hour_of_health_checks_half_of_the_capacity_is_served_from_the_first_second() {
    let mut lab = Lab::adaptive(50);
    // One call a minute.
    lab.run(0.02 / 60.0, 60 * MINUTE).await;
    for second in 1..=5 {
        let busy = lab.run(25.0, SECOND).await;
        assert!(busy >= 0.9 * 25.0, "{busy} in second {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_ten_minutes_of_a_trickle_a_load_below_capacity_is_served_from_the_first_second() {
    let mut lab = Lab::adaptive(50);
    // Ten calls a second.
    lab.run(0.2, 10 * MINUTE).await;
    for second in 1..=5 {
        let busy = lab.run(40.0, SECOND).await;
        assert!(busy >= 0.9 * 40.0, "{busy} in second {second}");
    }
}

/// The first window under load holds a different part of the time before it in each round.
#[tokio::test(start_paused = true)]
async fn a_flood_at_any_moment_of_a_window_is_served_from_the_first_second() {
    for round in 0..12 {
        let mut lab = Lab::adaptive(50);
        // Forty calls a second.
        lab.run(0.8, 2 * SECOND + round * 100 * MS).await;
        let busy = lab.run(25.0, SECOND).await;
        assert!(busy >= 0.85 * 25.0, "{busy} in round {round}");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_that_hang_up_early_do_not_take_the_slots_of_steady_ones() {
    // More workers than calls: the limit is all that can reject.
    let lab = Lab::adaptive(1_000);
    let mut steady = tokio::task::JoinSet::new();
    let mut leavers = tokio::task::JoinSet::new();
    let end = tokio::time::Instant::now() + 20 * SECOND;
    for _ in 0..40 {
        let gate = lab.gate();
        steady.spawn(async move {
            let mut served = 0;
            while tokio::time::Instant::now() < end {
                let response = gate.clone().oneshot(Request::new(Body::default())).await;
                served += u32::from(response.is_ok_and(|response| response.status() == 200));
                tokio::time::sleep(MS).await;
            }
            served
        });
        let gate = lab.gate();
        leavers.spawn(async move {
            while tokio::time::Instant::now() < end {
                let call = gate.clone().oneshot(Request::new(Body::default()));
                // A rejected caller waits as long as one that hangs up.
                let until = tokio::time::Instant::now() + 5 * MS;
                drop(tokio::time::timeout_at(until, call).await);
                tokio::time::sleep_until(until).await;
            }
        });
    }
    let served = steady.join_all().await.into_iter().sum::<u32>();
    // A call and the pause after it take 21 ms on average. The startup rejects some.
    let possible = 40.0 * 20.0 / 0.021;
    assert!(
        f64::from(served) >= 0.98 * possible,
        "{served} of {possible}"
    );
}

#[tokio::test(start_paused = true)]
async fn answers_of_404_hold_slots_as_others_do() {
    let mut lab = Lab::adaptive(20);
    lab.run(40.0, 3 * SECOND).await;
    lab.service.answers_with(http::StatusCode::NOT_FOUND);
    lab.run(40.0, 5 * SECOND).await;
    let limit = lab.handle.limit();
    assert!((20..=70).contains(&limit), "{limit}");
}

#[tokio::test(start_paused = true)]
async fn one_admitted_request_in_each_window_is_asked_for_its_deadline() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let limit = ConcurrencyLimit::adaptive().deadlines(move |_: &Request<Body>, _| {
        counted.fetch_add(1, Relaxed);
        None
    });
    let handle = limit.handle();
    let mut lab = Lab::new(20, limit, handle);
    lab.run(1.0, SECOND).await;
    let windows = asked.load(Relaxed);
    assert!((1..=10).contains(&windows), "{windows} of 50 requests");
    lab.run(1.0, 20 * SECOND).await;
    assert!(asked.load(Relaxed) > windows);
}

#[tokio::test(start_paused = true)]
async fn the_first_second_of_three_times_the_load_is_answered_before_the_callers_leave() {
    const PATIENCE: Duration = Duration::from_millis(120);
    fastrand::seed(1);
    let stated = |_: &Request<Body>, now| Deadline::after(now, PATIENCE);
    let limit = ConcurrencyLimit::adaptive().deadlines(stated);
    let handle = limit.handle();
    let mut lab = Lab::new(10, limit, handle);
    lab.patience = Some(PATIENCE);
    for spike in 1..=5 {
        lab.run(9.0, 5 * SECOND).await;
        let busy = lab.run(30.0, SECOND).await;
        // A probe costs a fourth of the workers for a moment.
        assert!(busy >= 8.5, "{busy} of 10 workers in spike {spike}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stated_deadline_bounds_the_latency_inside_the_service() {
    // 100 workers of 20 ms: 5,000 a second. Half of the requests without a slot have 60 ms left.
    let mut service = Workers::new(100.0, 20 * MS);
    let mut adaptive = Adaptive::new();
    let mut limit = adaptive.initial();
    let mut limits = Vec::new();
    for _ in 0..300 {
        let window = Window {
            deadline_left: Some(40 * MS),
            ..service.window(&adaptive, limit)
        };
        limit = adaptive.update(&window).limit;
        limits.push(limit);
    }
    // 5,000 x 0.7 x 40 ms = 140 in flight take 28 ms, and calls vary. Without a deadline it is 130,
    // and a fifth more in every other window.
    let highest = *limits[100..].iter().max().unwrap();
    assert!((111..=140).contains(&highest), "{highest}");
}
