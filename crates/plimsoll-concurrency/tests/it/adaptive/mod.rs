//! The limit that finds itself, through real gates on the paused clock.

mod contract;
mod first_load;
mod first_probe;
mod mix;
mod probes;
mod replay;
mod rows;
mod server;
mod windows;

use std::time::Duration;

use http::StatusCode;
use plimsoll_concurrency::{ConcurrencyLimit, LimitReason};
use plimsoll_core::Missing;

use self::server::Lab;

const SECOND: Duration = Duration::from_secs(1);

fn is_sane(limit: usize) {
    assert!((1..=1 << 20).contains(&limit), "{limit}");
}

#[tokio::test(start_paused = true)]
async fn under_twice_and_ten_times_the_load_all_workers_are_busy() {
    for (workers, times) in [(5, 2.0), (5, 10.0), (50, 2.0), (50, 10.0)] {
        let mut lab = Lab::adaptive(workers);
        let demand = times * workers as f64;
        lab.run(demand, 2 * SECOND).await;
        let busy = lab.run(demand, 4 * SECOND).await / workers as f64;
        let limit = lab.handle.limit();
        assert!(
            busy >= 0.97,
            "{busy} of {workers} at {times}: limit {limit}"
        );
        assert!(
            limit >= workers / 2 && limit <= 10 * workers,
            "{limit} for {workers} at {times}"
        );
        assert_ne!(lab.handle.reason(), LimitReason::Set);
    }
}

#[tokio::test(start_paused = true)]
async fn idle_it_neither_shrinks_nor_grows_and_a_flood_finds_it_ready() {
    let mut lab = Lab::adaptive(50);
    lab.run(100.0, 2 * SECOND).await;
    lab.rest().await;
    let found = lab.handle.limit();
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(
        lab.handle.limit(),
        found,
        "nobody called, nothing was learnt"
    );

    lab.run(2.0, 60 * SECOND).await;
    let idle = lab.handle.limit();
    assert!(idle <= 2 * found, "{idle} after {found}, and never used");
    let busy = lab.run(500.0, SECOND).await / 50.0;
    assert!(
        busy >= 0.75,
        "{busy} in the first second: {idle} after {found}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_demand_a_fresh_limit_refuses_nobody_and_does_not_run_away() {
    let mut lab = Lab::adaptive(50);
    for _ in 0..60 {
        lab.run(2.0, SECOND).await;
        let limit = lab.handle.limit();
        assert!(limit <= 50, "{limit}");
    }
    let refused = lab.handle.rejected() + lab.handle.timed_out();
    assert!(refused <= 6, "{refused} of 6,000, with 48 workers idle");
}

/// Requests in bursts of three tenths of a second, minutes apart.
#[tokio::test(start_paused = true)]
async fn a_pause_between_two_bursts_is_not_taken_for_slowness() {
    let mut lab = Lab::adaptive(50);
    lab.run(100.0, 2 * SECOND).await;
    let mut busy = 0.0;
    for _ in 0..10 {
        lab.rest().await;
        tokio::time::sleep(600 * SECOND).await;
        lab.run(100.0, 100 * MS).await;
        busy += lab.run(100.0, 200 * MS).await / 500.0;
    }
    // In most bursts a probe is due, and takes half of the burst.
    assert!(busy >= 0.6, "{busy}: limit {}", lab.handle.limit());
}

#[tokio::test(start_paused = true)]
async fn it_comes_down_within_a_second_when_half_the_workers_are_lost_and_goes_back_up() {
    let mut lab = Lab::adaptive(40);
    lab.run(80.0, 3 * SECOND).await;
    let before = lab.handle.limit();
    lab.service.lose(20);
    let busy = lab.run(80.0, SECOND).await;
    let after = lab.handle.limit();
    assert!(busy >= 0.95 * 20.0, "{busy}");
    assert!(
        after as f64 <= 0.75 * before as f64,
        "{after} after {before}"
    );
    let busy = lab.run(80.0, 2 * SECOND).await;
    assert!(busy >= 0.97 * 20.0, "{busy}");
    lab.service.gain(20);
    lab.run(80.0, SECOND).await;
    let busy = lab.run(80.0, 2 * SECOND).await;
    let back = lab.handle.limit();
    assert!(busy >= 0.95 * 40.0, "{busy}: {back}");
}

#[tokio::test(start_paused = true)]
async fn it_survives_a_stall() {
    for patience in [None, Some(Duration::from_millis(200))] {
        let mut lab = Lab::adaptive(20);
        lab.patience = patience;
        lab.run(30.0, 2 * SECOND).await;
        lab.service.stall(10 * SECOND);
        lab.run(30.0, 10 * SECOND).await;
        is_sane(lab.handle.limit());
        lab.run(30.0, SECOND).await;
        let busy = lab.run(30.0, 2 * SECOND).await / 20.0;
        let limit = lab.handle.limit();
        assert!(busy >= 0.95, "{busy} with patience {patience:?}: {limit}");
    }
}

/// Twice the capacity, with callers that leave after two or three service times: long enough for an
/// answer if they are not queued first.
#[tokio::test(start_paused = true)]
async fn callers_that_leave_early_are_let_in_when_they_can_be_served() {
    for (millis, least) in [(40, 0.7), (60, 0.9), (100, 0.97)] {
        let mut lab = Lab::adaptive(20);
        lab.patience = Some(millis * MS);
        lab.run(40.0, 4 * SECOND).await;
        let busy = lab.run(40.0, 6 * SECOND).await / 20.0;
        let limit = lab.handle.limit();
        assert!(busy >= least, "{busy} with {millis} ms: limit {limit}");
        lab.patience = None;
        lab.run(40.0, SECOND).await;
        let busy = lab.run(40.0, 2 * SECOND).await / 20.0;
        assert!(busy >= 0.95, "{busy} after {millis} ms");
        lab.rest().await;
        assert_eq!((lab.handle.in_flight(), lab.handle.queued()), (0, 0));
    }
}

/// Half of them could not even be served at once.
#[tokio::test(start_paused = true)]
async fn callers_that_cannot_be_served_do_not_bring_it_down_for_good() {
    let mut lab = Lab::adaptive(20);
    lab.patience = Some(21 * MS);
    for _ in 0..10 {
        lab.run(40.0, SECOND).await;
        is_sane(lab.handle.limit());
    }
    lab.patience = None;
    lab.run(40.0, 3 * SECOND).await;
    let busy = lab.run(40.0, 2 * SECOND).await / 20.0;
    assert!(busy >= 0.95, "{busy}: {}", lab.handle.limit());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_as_fast_keeps_its_limit_and_one_that_says_it_is_overloaded_brings_it_down()
 {
    for status in [
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ] {
        let mut lab = Lab::adaptive(20);
        lab.run(40.0, 2 * SECOND).await;
        lab.service.answers_with(status);
        lab.run(40.0, 100 * MS).await; // calls that were answered before
        let before = lab.handle.limit();
        lab.run(40.0, 10 * SECOND).await;
        let limit = lab.handle.limit();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(3 * limit <= 2 * before, "{limit} after {before}");
        } else {
            // All workers stay busy.
            assert!(
                (20..=before * 3 / 2).contains(&limit),
                "{limit} after {before}"
            );
        }
        lab.service.answers_with(StatusCode::OK);
        lab.run(40.0, SECOND).await;
        let busy = lab.run(40.0, 2 * SECOND).await / 20.0;
        assert!(
            busy >= 0.95,
            "{status}: {busy}: {} after {before}",
            lab.handle.limit()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_worker_is_enough_for_a_limit_of_one_or_two() {
    let mut lab = Lab::adaptive(1);
    lab.run(3.0, 5 * SECOND).await;
    let mut busy = 0.0;
    for _ in 0..10 {
        busy += lab.run(3.0, SECOND).await / 10.0;
        let limit = lab.handle.limit();
        assert!((1..=20).contains(&limit), "{limit}");
    }
    assert!(busy >= 0.93, "{busy}");
}

#[tokio::test(start_paused = true)]
async fn cells_of_a_key_move_one_limit_together() {
    fastrand::seed(1); // the intervals between probes are random
    let each = ConcurrencyLimit::adaptive();
    let handle = each.handle();
    let turn = std::sync::atomic::AtomicU8::new(0);
    let key = move |_: &http::Request<server::Body>| {
        Some(turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2)
    };
    let keyed = each.per_key(key, Missing::Share, 512).unwrap();
    let mut lab = Lab::new(10, keyed, handle);
    lab.run(30.0, 3 * SECOND).await;
    let busy = lab.run(30.0, 3 * SECOND).await / 10.0;
    assert!(busy >= 0.95, "{busy}: {}", lab.handle.limit());
    assert_ne!(lab.handle.reason(), LimitReason::Set);
}

const MS: Duration = crate::MS;
