//! The log of changes, and the watcher that finds them.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use plimsoll_core::figures::{self, Change, Figure};
use plimsoll_metrics::{InvalidMetric, Metrics};
use tokio::time::{Instant, sleep};

use crate::handle::Handle;

static STATE: Figure = Figure::state("state", &["shared", "local"], "Who decides");

fn limit(from: f64, to: f64) -> Change {
    Change::new(&figures::LIMIT, from, to, "growth")
}

fn values(metrics: &Metrics) -> Vec<(f64, f64)> {
    let events = metrics.events(0);
    let values = events
        .iter()
        .map(|event| (event.change.from, event.change.to));
    values.collect()
}

#[tokio::test(start_paused = true)]
async fn the_log_has_changes_of_a_limit_above_a_fifth_and_a_few_per_second() {
    let metrics = Metrics::new();
    let handle = Handle::reporting();
    metrics.watch("edge", handle.clone()).unwrap();
    handle.report(&limit(100.0, 110.0));
    handle.report(&limit(110.0, 119.0));
    assert!(metrics.events(0).is_empty());
    handle.report(&limit(119.0, 121.0));
    assert_eq!(
        values(&metrics),
        [(100.0, 121.0)],
        "from the value before the small changes"
    );

    // A limit that halves and doubles, each 10 ms for ten seconds.
    let mut limit_is = 100.0;
    for _ in 0..1000 {
        sleep(Duration::from_millis(10)).await;
        let to = if limit_is > 75.0 { 50.0 } else { 100.0 };
        handle.report(&limit(limit_is, to));
        limit_is = to;
    }
    let count = metrics.events(0).len();
    assert!(
        (30..=42).contains(&count),
        "a burst of 10, and 3 a second: {count}"
    );
}

#[test]
fn the_log_keeps_the_latest_1024_events() {
    let metrics = Metrics::new();
    // Each policy has ten in a row.
    let handles: Vec<_> = (0..128)
        .map(|n| {
            let handle = Handle::reporting();
            let policy = format!("policy {}", n % 16);
            metrics
                .watch_as(format!("gate {}", n / 16), policy, handle.clone())
                .unwrap();
            handle
        })
        .collect();
    for round in 0..9 {
        for handle in &handles {
            handle.report(&limit(1.0, 2.0 + f64::from(round)).by_hand());
        }
    }
    let events = metrics.events(0);
    assert_eq!(
        (events.len(), events[0].number, events[1023].number),
        (1024, 129, 1152)
    );
    let latest = metrics.events(1150);
    let numbers: Vec<_> = latest.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [1151, 1152]);
    assert!(metrics.events(5000).is_empty());
}

#[test]
fn a_key_that_flaps_leaves_room_for_other_policies() {
    let metrics = Metrics::new();
    let (keys, other) = (Handle::reporting(), Handle::reporting());
    metrics.watch_as("edge", "keys", keys.clone()).unwrap();
    metrics.watch_as("edge", "other", other.clone()).unwrap();
    for key in 0..5000 {
        keys.report(&Change::new(&STATE, 0.0, 1.0, "test").of_key(format!("key {key}")));
    }
    other.report(&limit(1.0, 9.0));
    let events = metrics.events(0);
    assert!(events.len() < 50, "{}", events.len());
    assert_eq!(events.last().unwrap().policy, "other");
}

#[test]
fn changes_that_no_policy_reports_are_found_by_steps() {
    let metrics = Metrics::new();
    let handle = Handle::with(&[
        (&STATE, 0.0),
        (&figures::RATE, 1.0),
        (&figures::IN_USE, 1.0),
    ]);
    handle.set_text("window", "10 s");
    metrics.watch("edge", handle.clone()).unwrap();
    let (watcher, start) = (metrics.watcher(), Instant::now());
    let step = |second| watcher.step(start + Duration::from_secs(second));
    assert!(step(0));
    handle.set(&figures::RATE, 0.9);
    handle.set(&figures::IN_USE, 50.0);
    step(1);
    assert!(
        metrics.events(0).is_empty(),
        "the first step begins, and these are no events"
    );

    handle.set(&STATE, 1.0);
    handle.set(&figures::RATE, 0.79);
    step(2);
    handle.set_text("window", "20 s");
    handle.set(&figures::RATE, 0.1);
    step(3);
    step(4);
    let events = metrics.events(0);
    let found: Vec<_> = events
        .iter()
        .map(|event| (event.change.figure.name, event.change.from, event.change.to))
        .collect();
    assert_eq!(
        found,
        [
            ("state", 0.0, 1.0),
            ("rate", 1.0, 0.79),
            ("setting_changes", 0.0, 1.0)
        ]
    );
    assert_eq!(events[2].change.reason, "window: 10 s -> 20 s");
    assert!(events[2].change.by_hand);
}

#[test]
fn a_change_that_a_policy_reports_is_in_the_log_once() {
    let metrics = Metrics::new();
    let handle = Handle::reporting();
    handle.set(&STATE, 0.0);
    handle.set(&figures::LIMIT, 10.0);
    metrics.watch("edge", handle.clone()).unwrap();
    let (watcher, start) = (metrics.watcher(), Instant::now());
    for second in 0..10_u32 {
        let to = f64::from(second % 2);
        handle.set(&STATE, to);
        if second % 3 == 0 {
            watcher.step(start + Duration::from_secs(u64::from(second) * 10));
        }
        handle.report(&Change::new(&STATE, 1.0 - to, to, "test"));
        watcher.step(start + Duration::from_secs(u64::from(second) * 10 + 1));
    }
    let states: Vec<_> = metrics
        .events(0)
        .iter()
        .map(|event| event.change.to)
        .collect();
    assert_eq!(states, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
}

#[test]
fn subscribers_see_each_event_once_in_order_and_a_panic_in_one_is_caught() {
    let metrics = Metrics::new();
    let handle = Handle::reporting();
    metrics.watch("edge", handle.clone()).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    metrics.on_event(|_| panic!("this subscriber is broken"));
    let seen_by = seen.clone();
    metrics.on_event(move |event| seen_by.lock().unwrap().push(event.number));
    let (watcher, start) = (metrics.watcher(), Instant::now());
    for second in 0..6_u32 {
        handle.report(&limit(1.0, 2.0 + f64::from(second)).by_hand());
        if second % 2 == 1 {
            // Any watcher of the registry continues where another one was.
            metrics
                .watcher()
                .step(start + Duration::from_secs(u64::from(second)));
        }
    }
    watcher.step(start + Duration::from_secs(60));
    assert_eq!(*seen.lock().unwrap(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_callback_may_use_the_registry_and_a_step_within_a_step_does_nothing() {
    let metrics = Metrics::new();
    let handle = Handle::reporting();
    metrics.watch("edge", handle.clone()).unwrap();
    let (weak, nested) = (metrics.clone(), Arc::new(AtomicU64::new(0)));
    let count = nested.clone();
    metrics.on_event(move |_| {
        _ = weak.snapshot();
        _ = weak.events(0);
        assert!(!weak.watcher().step(Instant::now()));
        count.fetch_add(1, Relaxed);
    });
    handle.report(&limit(1.0, 2.0));
    assert!(metrics.watcher().step(Instant::now()));
    assert_eq!(nested.load(Relaxed), 1);
    assert!(
        metrics.watcher().step(Instant::now()),
        "the turn was returned"
    );
}

#[test]
fn events_that_a_blocked_subscriber_misses_are_counted() {
    let metrics = Metrics::new();
    let handles: Vec<_> = (0..128)
        .map(|n| {
            let handle = Handle::reporting();
            let gate = format!("gate {}", n / 16);
            metrics
                .watch_as(gate, format!("policy {}", n % 16), handle.clone())
                .unwrap();
            handle
        })
        .collect();
    for round in 0..9 {
        for handle in &handles {
            handle.report(&limit(1.0, 2.0 + f64::from(round)).by_hand());
        }
    }
    metrics.on_event(|_| {});
    metrics.watcher().step(Instant::now());
    assert_eq!(metrics.snapshot().missed_events, 128);
    let text = metrics.prometheus().into_body();
    assert!(
        text.contains("plimsoll_missed_events_total 128\n"),
        "{text}"
    );
}

#[tokio::test]
async fn law_10_a_subscriber_that_blocks_holds_no_thread_of_the_runtime() {
    let metrics = Metrics::new();
    let handle = Handle::reporting();
    metrics.watch("edge", handle.clone()).unwrap();
    let (blocked, wait_blocked) = tokio::sync::oneshot::channel();
    let (release, released) = mpsc::channel::<()>();
    let both = Mutex::new(Some((blocked, released)));
    metrics.on_event(move |_| {
        if let Some((blocked, released)) = both.lock().unwrap().take() {
            blocked.send(()).unwrap();
            _ = released.recv();
        }
    });
    handle.report(&limit(1.0, 2.0));
    let task = tokio::spawn(metrics.watcher().run());
    wait_blocked.await.unwrap();
    // This test has one thread: were the subscriber on it, nothing would run.
    handle.report(&limit(2.0, 4.0));
    assert_eq!(metrics.events(0).len(), 2);
    assert_eq!(metrics.health().status(), 200);
    release.send(()).unwrap();
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_watcher_steps_each_second() {
    let metrics = Metrics::new();
    let steps = Arc::new(AtomicU64::new(0));
    let count = steps.clone();
    let signal = move || {
        count.fetch_add(1, Relaxed);
        0.0
    };
    metrics.load("counted", signal).unwrap();
    let task = tokio::spawn(metrics.watcher().run());
    sleep(Duration::from_millis(10_500)).await;
    task.abort();
    let steps = steps.load(Relaxed);
    assert!((10..=12).contains(&steps), "{steps}");
}

#[test]
fn an_unwatched_handle_is_released_and_its_name_is_free() {
    let metrics = Metrics::new();
    let handle = Handle::reporting();
    metrics.watch("edge", handle.clone()).unwrap();
    metrics.watch_part("prices", handle.clone()).unwrap();
    assert_eq!(handle.clones(), 3);
    assert_eq!(
        metrics.watch("edge", Handle::default()),
        Err(InvalidMetric::Duplicate {
            name: "handle".into()
        })
    );
    assert!(metrics.unwatch("edge", "handle") && metrics.unwatch_part("prices"));
    assert_eq!(handle.clones(), 1, "callbacks do not keep a policy alive");
    handle.report(&limit(1.0, 2.0));
    assert!(metrics.events(0).is_empty());
    assert!(!metrics.unwatch("edge", "handle") && !metrics.unwatch_part("prices"));
    metrics.watch("edge", Handle::default()).unwrap();
}

#[test]
fn a_policy_that_is_watched_does_not_keep_itself_alive() {
    let handle = Handle::reporting();
    let metrics = Metrics::new();
    metrics.watch("edge", handle.clone()).unwrap();
    drop(metrics);
    assert_eq!(handle.clones(), 1);
}

#[test]
fn a_gate_watches_at_most_16_policies() {
    let metrics = Metrics::new();
    for n in 0..16 {
        metrics
            .watch_as("edge", format!("policy {n}"), Handle::default())
            .unwrap();
    }
    let full = InvalidMetric::Full {
        what: "policies of a gate",
        max: 16,
    };
    assert_eq!(metrics.watch("edge", Handle::default()), Err(full));
    for name in [String::new(), "x".repeat(129)] {
        let bytes = name.len();
        let error = metrics.watch_as("store", name, Handle::default());
        assert_eq!(error, Err(InvalidMetric::WatchedName { bytes }));
    }
}

#[test]
fn a_registry_watches_at_most_256_parts() {
    let metrics = Metrics::new();
    for n in 0..256 {
        metrics
            .watch_part(format!("part {n}"), Handle::default())
            .unwrap();
    }
    let full = InvalidMetric::Full {
        what: "parts",
        max: 256,
    };
    assert_eq!(metrics.watch_part("more", Handle::default()), Err(full));
    let duplicate = metrics.watch_part("part 7", Handle::default());
    assert_eq!(
        duplicate,
        Err(InvalidMetric::Duplicate {
            name: "handle".into()
        })
    );
    assert_eq!(metrics.snapshot().parts.len(), 256);
    assert_eq!(metrics.snapshot().parts[7].name, "part 7");
}

#[test]
fn a_handle_that_panics_is_left_out_and_the_others_are_read() {
    struct Broken;
    impl figures::Figures for Broken {
        fn policy(&self) -> &'static str {
            "broken"
        }
        fn read(&self, _: &mut dyn FnMut(&'static Figure, f64)) {
            panic!("the handle is broken");
        }
    }
    let metrics = Metrics::new();
    metrics.watch("edge", Broken).unwrap();
    metrics
        .watch("edge", Handle::with(&[(&figures::LIMIT, f64::NAN)]))
        .unwrap();
    let snapshot = metrics.snapshot();
    let policies = &snapshot.gates[0].policies;
    assert_eq!((policies.len(), policies[0].policy.as_str()), (1, "handle"));
    assert!(metrics.watcher().step(Instant::now()));
    assert!(metrics.watcher().step(Instant::now()));
}

#[test]
fn events_of_many_threads_are_ordered_by_number_and_time() {
    let metrics = Metrics::new();
    thread::scope(|scope| {
        for n in 0..4 {
            let handle = Handle::reporting();
            metrics
                .watch_as("edge", format!("policy {n}"), handle.clone())
                .unwrap();
            scope.spawn(move || {
                for value in 0..10 {
                    handle.report(&limit(1.0, 2.0 + f64::from(value)).by_hand());
                }
            });
        }
    });
    let events = metrics.events(0);
    assert_eq!(events.len(), 40);
    assert!(events.iter().map(|event| event.number).eq(1..=40));
    assert!(events.is_sorted_by_key(|event| event.instant));
}
