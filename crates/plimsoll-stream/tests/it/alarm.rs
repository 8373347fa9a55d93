//! The saturation alarm.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use plimsoll_stream::{
    QueuePolicy,
    alarm::{Alarm, Change, InvalidAlarm},
};
use tokio::time::Instant;

use crate::queue;

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn idle() -> f64 {
    0.0
}

#[tokio::test(start_paused = true)]
async fn it_is_raised_after_ten_seconds_above_the_high_mark_and_cleared_below_the_low_one() {
    let alarm = Alarm::new(idle);
    let start = Instant::now();
    let at = |ms, load| alarm.observe(load, start + Duration::from_millis(ms));
    assert_eq!(at(0, 0.8), None, "not above");
    assert_eq!(at(1_000, 0.81), None);
    assert_eq!(at(10_999, 1.5), None);
    let raised = at(11_000, 0.9);
    assert!(
        matches!(raised, Some(Change::Raised { load: 0.9, since, .. }) if since == start + secs(1)),
        "{raised:?}"
    );
    assert!(alarm.is_raised());
    assert_eq!(at(12_000, 1.0), None, "once");
    assert_eq!(at(13_000, 0.6), None, "not below");
    let cleared = at(14_000, 0.59);
    assert!(
        matches!(cleared, Some(Change::Cleared { load: 0.59, since, .. }) if since == start + secs(11)),
        "{cleared:?}"
    );
    assert!(!alarm.is_raised());
    assert_eq!(at(15_000, 0.1), None);
}

#[tokio::test(start_paused = true)]
async fn one_load_at_the_high_mark_starts_the_time_anew() {
    let alarm = Alarm::new(idle);
    let start = Instant::now();
    let at = |s, load| alarm.observe(load, start + secs(s)).is_some();
    assert!(!at(0, 0.9));
    assert!(!at(9, 0.8));
    assert!(!at(10, 0.9));
    assert!(!at(19, 0.9));
    assert!(!at(19, f64::NAN), "counts as 0");
    assert!(!at(20, 0.9));
    assert!(!at(29, 0.9));
    assert!(at(30, 0.9));
}

#[tokio::test(start_paused = true)]
async fn watching_reads_the_load_of_a_queue_at_each_interval() {
    let queue = queue(10, QueuePolicy::BLOCK);
    let alarm = Alarm::builder(queue.clone())
        .every(secs(2))
        .build()
        .unwrap();
    let changes = Arc::new(Mutex::new(Vec::new()));
    let (seen, start) = (Arc::clone(&changes), Instant::now());
    alarm.on_change(move |change| {
        let raised = matches!(change, Change::Raised { .. });
        seen.lock().unwrap().push((raised, start.elapsed()));
    });
    let watched = alarm.clone();
    let task = tokio::spawn(async move { watched.watch().await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    for n in 0..9 {
        queue.try_send(n).unwrap();
    }
    tokio::time::sleep(secs(20)).await;
    assert!(alarm.is_raised());
    queue.drain();
    tokio::time::sleep(secs(2)).await;
    assert!(!alarm.is_raised());
    // First seen full at 2 s, and 10 s later still full; drained at 20.5 s.
    assert_eq!(
        *changes.lock().unwrap(),
        [(true, secs(12)), (false, secs(22))]
    );
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_stops_neither_the_others_nor_the_alarm() {
    let alarm = Alarm::builder(idle).after(secs(1)).build().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    alarm.on_change(|_| panic!("a broken callback"));
    alarm.on_change(move |_| _ = counted.fetch_add(1, SeqCst));
    let start = Instant::now();
    alarm.observe(1.0, start);
    assert!(alarm.observe(1.0, start + secs(1)).is_some());
    assert!(alarm.observe(0.0, start + secs(2)).is_some());
    assert_eq!(calls.load(SeqCst), 2);
}

#[test]
fn bad_settings_name_the_field_and_its_bound() {
    let text = |alarm: Result<Alarm<fn() -> f64>, InvalidAlarm>| alarm.unwrap_err().to_string();
    let builder = || Alarm::builder(idle as fn() -> f64);
    for (builder, error) in [
        (
            builder().high(f64::NAN),
            "high must be finite and above 0, got NaN",
        ),
        (
            builder().high(0.0),
            "high must be finite and above 0, got 0",
        ),
        (
            builder().low(0.8),
            "low must be above 0 and below high, 0.8, got 0.8",
        ),
        (
            builder().low(0.0),
            "low must be above 0 and below high, 0.8, got 0",
        ),
        (
            builder().after(Duration::ZERO),
            "after must be longer than 0 s, got 0 s",
        ),
        (
            builder().every(Duration::ZERO),
            "every must be longer than 0 s and at most after, 10s, got 0ns",
        ),
        (
            builder().every(secs(11)),
            "every must be longer than 0 s and at most after, 10s, got 11s",
        ),
    ] {
        assert_eq!(text(builder.build()), error);
    }
    assert!(builder().high(3.0).low(2.0).build().is_ok());
}
