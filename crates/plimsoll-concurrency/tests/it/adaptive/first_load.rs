//! The first load after idle time: windows made by hand, as the laboratory saw them.

use std::time::Duration;

use plimsoll_concurrency::{Adaptive, Algorithm as _, LimitReason, Window};

use crate::published;

const MS: Duration = Duration::from_millis(1);

/// A window of this many answered calls of a mean latency, varying as exponential times do.
fn window(answered: u64, lasted: Duration, latency: Duration, limit: u32) -> Window {
    let began = tokio::time::Instant::now();
    Window {
        began,
        ended: began + lasted,
        answered,
        latency,
        deviation: latency,
        max_in_flight: 2,
        mean_in_flight: 1.1,
        limit,
        ..published::window(1, 1)
    }
}

/// The same, and requests found no slot.
fn flood(calls: Window) -> Window {
    Window {
        max_in_flight: calls.limit,
        mean_in_flight: calls.limit.into(),
        without_slot: 10 * calls.answered,
        rejected: 9 * calls.answered,
        ..calls
    }
}

#[test]
fn callers_that_leave_a_nearly_idle_service_are_no_demand() {
    let mut adaptive = Adaptive::new();
    let trickle = Window {
        dropped: 13,
        cancelled: 13,
        ..window(8, 1223 * MS, 15 * MS, 10)
    };
    let change = adaptive.update(&trickle);
    assert_eq!((change.limit, change.reason), (10, LimitReason::Idle));

    // With as many in flight as slots, they may have waited for each other.
    let busy = Window {
        max_in_flight: 10,
        mean_in_flight: 9.0,
        ..trickle
    };
    let change = Adaptive::new().update(&busy);
    assert_ne!(change.reason, LimitReason::Idle);
}

#[test]
fn a_window_that_is_idle_at_first_does_not_hide_the_capacity_of_an_untried_service() {
    let mut adaptive = Adaptive::new();
    for _ in 0..5 {
        let idle = Window {
            max_in_flight: 8,
            mean_in_flight: 3.5,
            ..window(50, 5000 * MS, 240 * MS, 10)
        };
        assert_eq!(adaptive.update(&idle).reason, LimitReason::Idle);
    }
    // Four seconds of idle time, and a tenth of a second in which every slot is taken.
    let both = Window {
        max_in_flight: 10,
        mean_in_flight: 5.2,
        without_slot: 94,
        rejected: 78,
        ..window(50, 4070 * MS, 254 * MS, 10)
    };
    let change = adaptive.update(&both);
    assert_eq!(change.reason, LimitReason::Growth);
    assert!(change.limit >= 40, "{change:?}");
}

#[test]
fn a_window_of_few_more_calls_is_followed_by_one_that_shows_an_untried_capacity() {
    let mut adaptive = Adaptive::new();
    for _ in 0..5 {
        let idle = window(50, 5000 * MS, 240 * MS, 10);
        assert_eq!(adaptive.update(&idle).reason, LimitReason::Idle);
    }
    // All slots are taken at its end, when it holds hardly more calls than the ones before.
    let both = Window {
        max_in_flight: 10,
        mean_in_flight: 2.0,
        without_slot: 3,
        rejected: 2,
        ..window(50, 4500 * MS, 245 * MS, 10)
    };
    let change = adaptive.update(&both);
    assert_eq!((change.limit, change.reason), (10, LimitReason::Steady));
    let change = adaptive.update(&flood(window(16, 400 * MS, 250 * MS, 10)));
    assert_eq!((change.limit, change.reason), (40, LimitReason::Growth));
}

#[test]
fn a_spike_does_not_multiply_the_limit_of_a_service_whose_capacity_was_used() {
    let mut adaptive = Adaptive::new();
    let mut limit = 10;
    // 14 slots of 43 ms, at 0.9 of the capacity.
    for _ in 0..5 {
        let calm = Window {
            max_in_flight: 19,
            mean_in_flight: 13.0,
            deviation: 6 * MS,
            ..window(150, 500 * MS, 43 * MS, limit)
        };
        let change = adaptive.update(&calm);
        assert_eq!(change.reason, LimitReason::Idle);
        limit = change.limit;
    }
    // The calls of the spike are still in flight: those that ended are from before, and fast.
    let spike = Window {
        max_in_flight: limit,
        mean_in_flight: 20.0,
        without_slot: 300,
        rejected: 200,
        ..window(150, 480 * MS, 55 * MS, limit)
    };
    assert_eq!(adaptive.update(&spike).limit, limit);
    // Those of the spike have waited inside the service, and no more of them were answered.
    let change = adaptive.update(&flood(window(50, 150 * MS, limit * 3 * MS, limit)));
    assert!(change.limit <= 2 * limit, "{change:?}");
    assert_ne!(change.reason, LimitReason::Probe, "calm time was the probe");
}

#[test]
fn a_step_of_the_startup_keeps_calls_in_time_even_if_it_is_too_large() {
    let next = |left| {
        let first = flood(window(16, 16 * MS, 10 * MS, 10));
        Adaptive::new().update(&Window {
            deadline_left: left,
            ..first
        })
    };
    assert_eq!(next(None).limit, 40);
    // 1,000 calls a second were done. If that is all, 70 in flight take 70 of 100 ms; and they may
    // vary.
    assert!((60..=70).contains(&next(Some(100 * MS)).limit));
    assert!((15..=17).contains(&next(Some(25 * MS)).limit));
    assert_eq!(next(Some(10_000 * MS)).limit, 80);
    assert!((30..=35).contains(&next(Some(50 * MS)).limit));
}

#[test]
fn a_first_latency_that_is_short_by_chance_does_not_end_the_startup() {
    let mut adaptive = Adaptive::new();
    let first = window(16, 394 * MS, Duration::from_micros(9_400), 10);
    assert_eq!(adaptive.update(&first).reason, LimitReason::Idle);
    let change = adaptive.update(&flood(window(
        50,
        90 * MS,
        Duration::from_micros(15_600),
        10,
    )));
    assert_eq!((change.limit, change.reason), (40, LimitReason::Growth));

    // Of thousands of calls, the same difference is more than chance.
    let mut adaptive = Adaptive::new();
    let first = window(16_000, 394_000 * MS, Duration::from_micros(9_400), 10);
    assert_eq!(adaptive.update(&first).reason, LimitReason::Idle);
    let slow = flood(window(5_000, 9_000 * MS, Duration::from_micros(15_600), 10));
    assert_eq!(adaptive.update(&slow).reason, LimitReason::Probe);
}

#[test]
fn a_queue_inside_the_service_in_which_deadlines_pass_lowers_a_limit_that_rejects_no_request() {
    let mut adaptive = Adaptive::new();
    // 60 workers of 40 ms, and two steps of the startup.
    for limit in [10, 40] {
        let busy = f64::from(limit).min(60.0);
        let answered = 10 * limit;
        let lasted = Duration::from_secs_f64(f64::from(answered) / busy * 0.04);
        let step = flood(window(answered.into(), lasted, 40 * MS, limit));
        let step = Window {
            deadline_left: Some(200 * MS),
            ..step
        };
        adaptive.update(&step);
    }
    // 1,500 calls a second, of 200 ms: 300 are in flight, and the deadline is 200 ms.
    let late = Window {
        max_in_flight: 368,
        mean_in_flight: 300.0,
        deviation: 20 * MS,
        deadline_left: Some(200 * MS),
        ..window(2000, 1333 * MS, 200 * MS, 503)
    };
    let change = adaptive.update(&late);
    // At 1,500 a second, 210 are answered within 0.7 of the deadline.
    assert!((100..=210).contains(&change.limit), "{change:?}");
    // Without a deadline no call is late.
    let in_time = Window {
        deadline_left: None,
        ..late
    };
    assert!(Adaptive::new().update(&in_time).limit > 210);
}

#[test]
fn the_first_window_after_idle_time_is_one_of_the_startup_until_the_capacity_was_tried() {
    let mut adaptive = Adaptive::new();
    for _ in 0..3 {
        let idle = window(50, 5000 * MS, 40 * MS, 10);
        assert_eq!(adaptive.update(&idle).reason, LimitReason::Idle);
    }
    assert!(adaptive.window().samples >= 50);
    let first = adaptive.window_after_idle_time();
    assert_eq!((first.samples, first.time), (16, 40 * MS));

    let mut tried = Adaptive::new();
    let mut limit = 10;
    for _ in 0..20 {
        limit = tried
            .update(&flood(window(400, 400 * MS, 10 * MS, limit)))
            .limit;
    }
    for _ in 0..3 {
        let idle = window(50, 5000 * MS, 10 * MS, limit);
        limit = tried.update(&idle).limit;
    }
    assert_eq!(tried.window_after_idle_time(), tried.window());
}
