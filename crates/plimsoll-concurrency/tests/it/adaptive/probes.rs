//! Probes, and jumps of the throughput that lead to one, in windows made by hand.

use std::time::Duration;

use plimsoll_concurrency::{Adaptive, Algorithm, LimitReason, Window};
use tokio::time::Instant;

use crate::{MS, published};

/// A limit in front of workers that are always busy.
struct Busy {
    adaptive: Adaptive,
    limit: u32,
    now: Instant,
    /// The mean no-load latency of the routes, where calls have one.
    routes: Option<Duration>,
}

impl Busy {
    fn new() -> Self {
        fastrand::seed(1); // the intervals between probes are random
        let adaptive = Adaptive::new();
        Self {
            limit: adaptive.initial(),
            adaptive,
            now: Instant::now(),
            routes: None,
        }
    }

    /// A window in which a worker takes this long for a call. Returns the reason for the next limit.
    fn window(&mut self, workers: u32, call: Duration) -> LimitReason {
        let busy = f64::from(self.limit.min(workers));
        let latency = call.mul_f64(f64::from(self.limit) / busy);
        let size = self.adaptive.window();
        let time = size.time.max(call.mul_f64(f64::from(size.samples) / busy));
        let answered = (time.as_secs_f64() / call.as_secs_f64() * busy) as u64 + 1;
        self.update(Window {
            answered,
            latency,
            max_in_flight: self.limit,
            mean_in_flight: self.limit.into(),
            without_slot: answered,
            rejected: answered,
            ..self.lasting(time)
        })
    }

    /// A window of this time without calls.
    fn lasting(&self, time: Duration) -> Window {
        Window {
            began: self.now,
            ended: self.now + time,
            limit: self.limit,
            route_latency: self.routes,
            ..published::window(1, 1)
        }
    }

    fn update(&mut self, window: Window) -> LimitReason {
        self.now = window.ended;
        let deviation = window.latency / 10;
        let change = self.adaptive.update(&Window {
            deviation,
            ..window
        });
        self.limit = change.limit;
        change.reason
    }

    /// A window in which this many workers are busy, and every request finds a slot.
    fn calm(&mut self, busy: u32, call: Duration) {
        let time = self.adaptive.window().time.max(Duration::from_millis(200));
        let answered = (time.as_secs_f64() / call.as_secs_f64() * f64::from(busy)) as u64;
        self.update(Window {
            answered,
            latency: call,
            max_in_flight: busy + busy / 4,
            mean_in_flight: busy.into(),
            ..self.lasting(time)
        });
    }

    /// The time until the first probe, in busy windows.
    fn first_probe(&mut self) -> Duration {
        let mut windows = 0..1_000;
        let mut began = self.now;
        let start = began;
        let probe = |_: &i32| {
            began = self.now;
            self.window(40, 20 * MS) == LimitReason::Probe
        };
        windows.find(probe).expect("a probe");
        began - start
    }

    fn settled() -> Self {
        let mut busy = Self::new();
        for _ in 0..400 {
            busy.window(40, 20 * MS);
        }
        busy
    }
}

#[test]
fn a_service_that_becomes_slower_keeps_its_limit_but_for_one_probe() {
    let mut busy = Busy::settled();
    let before = busy.limit;
    let lowest = (0..20).map(|_| {
        busy.window(40, 60 * MS);
        busy.limit
    });
    // 0.75 of the base, and not of a third of it.
    let lowest = lowest.min().unwrap();
    assert!(lowest >= 25, "{lowest} after {before}");
}

#[test]
fn lost_workers_are_found_by_a_probe() {
    let mut busy = Busy::settled();
    let before = busy.limit;
    for _ in 0..20 {
        busy.window(13, 20 * MS);
    }
    assert!(busy.limit < 13 * 3, "{} after {before}", busy.limit);
}

#[test]
fn a_probe_that_is_far_below_the_base_ends_after_four_times_its_expected_time() {
    let mut busy = Busy::new();
    // The first calls are short ones.
    busy.window(40, 5 * MS);
    let (mut probed, mut lowest) = (Duration::ZERO, u32::MAX);
    for _ in 0..100 {
        let (began, limit) = (busy.now, busy.limit);
        busy.window(40, 400 * MS);
        if limit < 20 {
            probed += busy.now - began;
            lowest = lowest.min(limit);
        }
    }
    assert!(lowest <= 2, "{lowest}: no probe was too deep");
    // One call after the other, fifty of them would take 20 s.
    assert!(probed < Duration::from_secs(5), "{probed:?}");
    assert!(busy.limit >= 40, "{}", busy.limit);
}

#[test]
fn what_was_measured_at_half_load_replaces_the_first_probe() {
    for loads in [&[18, 18, 18, 36, 36][..], &[18, 18, 18]] {
        let mut busy = Busy::new();
        for load in loads {
            busy.calm(*load, 20 * MS);
        }
        // Then it is known that 40 calls at a time can be served, so 18 did not wait for each other;
        // also where that is found out by a startup under load.
        let first = busy.first_probe();
        assert!(first > Duration::from_secs(2), "a probe after {first:?}");
    }
}

#[test]
fn what_was_measured_of_another_mix_of_routes_is_converted() {
    let mut busy = Busy::new();
    busy.routes = Some(20 * MS);
    for load in [18, 18, 18, 36] {
        busy.calm(load, 20 * MS);
    }
    busy.routes = Some(60 * MS);
    busy.calm(36, 60 * MS);
    for _ in 0..3 {
        assert_ne!(busy.window(40, 60 * MS), LimitReason::Probe);
    }
    // A no-load latency of 20 ms would be a base of 13.
    assert!(busy.limit >= 40, "{}", busy.limit);
}

#[test]
fn a_service_that_was_nearly_busy_from_the_start_is_probed_at_once() {
    let mut busy = Busy::new();
    for load in [36, 36, 36, 36, 36] {
        busy.calm(load, 20 * MS);
    }
    assert_eq!(busy.first_probe(), Duration::ZERO);
}

#[test]
fn while_the_service_keeps_up_no_probe_rejects_what_could_be_served() {
    let mut busy = Busy::settled();
    let fell = busy.now;
    // Nine of ten workers are busy, and now and then a burst finds no slot.
    for _ in 0..2_000 {
        let time = 200 * MS;
        let reason = busy.update(Window {
            answered: 360,
            latency: 20 * MS,
            max_in_flight: busy.limit,
            mean_in_flight: 36.0,
            without_slot: 2,
            ..busy.lasting(time)
        });
        if busy.limit < 40 {
            // One that was due when the load fell.
            assert!(busy.now - fell < Duration::from_secs(30));
            assert_eq!(reason, LimitReason::Probe);
        }
    }
    assert!(busy.limit >= 60, "{}", busy.limit);
    let saturated = (0..200).any(|_| busy.window(40, 20 * MS) == LimitReason::Probe);
    assert!(saturated, "no probe under saturation");
}
