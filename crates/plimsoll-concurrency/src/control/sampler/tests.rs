use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use proptest::prelude::*;

use super::*;
use crate::{Change, Window, WindowSize};

const MS: Duration = Duration::from_millis(1);

/// Records the windows that it is given.
#[derive(Debug)]
struct Recorder {
    size: WindowSize,
    windows: Windows,
}

type Windows = Arc<Mutex<Vec<Window>>>;

impl Algorithm for Recorder {
    fn initial(&self) -> u32 {
        10
    }

    fn window(&self) -> WindowSize {
        self.size
    }

    fn update(&mut self, window: &Window) -> Change {
        self.windows.lock().unwrap().push(*window);
        Change {
            at_no_load: false,
            no_load_latency: None,
            limit: 10,
            reason: LimitReason::Steady,
            queue: None,
        }
    }
}

fn sampler(time: Duration, samples: u32) -> (Sampler, Windows) {
    let windows = Windows::default();
    let seen = Recorder {
        size: WindowSize { time, samples },
        windows: Arc::clone(&windows),
    };
    (Sampler::new(Box::new(seen), &Tuning::DEFAULT), windows)
}

/// Counts a call that ended at `at`, as the policy does. Returns whether that closed a window.
fn ended(sampler: &Sampler, class: Class, latency: Duration, at: Instant) -> bool {
    let outcome = Outcome::new(class, latency, at);
    let now = sampler.count(&outcome, || 3, None);
    now.is_some_and(|now| sampler.close(now, 10, || 0).is_some())
}

fn answered(sampler: &Sampler, at: Instant) -> bool {
    ended(sampler, Class::Success, 5 * MS, at)
}

/// Returns the number of sampled calls.
fn sampled(sampler: &Sampler) -> u64 {
    let (counts, _) = sampler.latencies_since(&mut [0; histogram::BUCKETS]);
    counts.into_iter().map(u64::from).sum()
}

#[test]
fn a_window_ends_with_the_first_call_after_its_time() {
    let (sampler, windows) = sampler(10 * MS, 5);
    let start = Instant::now();
    for at in 0..10 {
        assert!(!answered(&sampler, start + at * MS), "{at}");
    }
    assert!(answered(&sampler, start + 10 * MS));
    let window = windows.lock().unwrap()[0];
    assert_eq!(
        (window.began, window.ended, window.answered),
        (start, start + 10 * MS, 10),
        "the first call began the window, and was not counted in it"
    );
    assert_eq!((window.latency, window.max_in_flight), (5 * MS, 3));
    assert!((window.mean_in_flight - 3.0).abs() < 1e-9);
}

#[test]
fn a_window_with_too_few_calls_continues_until_it_has_enough() {
    let (sampler, windows) = sampler(10 * MS, 5);
    let start = Instant::now();
    let second = Duration::from_secs(1);
    let closed: Vec<_> = (0..16)
        .map(|at| answered(&sampler, start + at * second))
        .collect();
    // The window is checked when the missing calls can have ended: here with every call.
    let fifth = (0..16).map(|at| at > 0 && at % 5 == 0).collect::<Vec<_>>();
    assert_eq!(closed, fifth);
    assert!(
        windows
            .lock()
            .unwrap()
            .iter()
            .all(|window| window.answered == 5)
    );
}

#[test]
fn windows_are_contiguous_and_no_call_is_lost_between_them() {
    let (sampler, windows) = sampler(7 * MS, 3);
    let start = Instant::now();
    let mut random = fastrand::Rng::with_seed(7);
    let (mut at, calls) = (start, 10_000);
    for _ in 0..=calls {
        at += MS.mul_f64(random.f64() * if random.u8(..50) == 0 { 100.0 } else { 1.0 });
        answered(&sampler, at);
    }
    while !answered(&sampler, at) {
        at += MS;
    }
    let windows = windows.lock().unwrap();
    assert!(
        windows
            .windows(2)
            .all(|pair| pair[0].ended == pair[1].began)
    );
    let counted: u64 = windows.iter().map(|window| window.answered).sum();
    let recent = sampled(&sampler);
    assert_eq!(counted + 1, recent, "all but the first call");
    assert!(counted >= calls);
}

#[test]
fn only_answers_have_a_latency_and_only_lost_capacity_is_a_drop() {
    let (sampler, windows) = sampler(10 * MS, 1);
    let start = Instant::now();
    answered(&sampler, start);
    for class in Class::ALL {
        let latency = match class {
            Class::Success | Class::Failure | Class::Ignored => 4 * MS,
            _ => 900 * MS,
        };
        assert!(!ended(&sampler, class, latency, start + 5 * MS));
    }
    ended(&sampler, Class::Success, 6 * MS, start + 10 * MS);
    let window = windows.lock().unwrap()[0];
    assert_eq!(
        (window.answered, window.dropped, window.cancelled),
        (4, 2, 1)
    );
    assert_eq!(window.latency, 4 * MS + MS / 2);
    assert!(window.deviation < 2 * MS, "{:?}", window.deviation);
}

#[test]
fn drops_without_answers_end_a_window() {
    let (sampler, windows) = sampler(10 * MS, 20);
    let start = Instant::now();
    answered(&sampler, start);
    // The clock is read with every 16th call.
    let closed = (1..=100).filter(|at| ended(&sampler, Class::Overloaded, MS, start + *at * MS));
    assert!(closed.count() >= 2);
    for window in windows.lock().unwrap().iter() {
        assert_eq!((window.answered, window.latency), (0, Duration::ZERO));
        assert_eq!(
            (window.deviation, window.dropped >= 20),
            (Duration::ZERO, true)
        );
        assert!(window.mean_in_flight.abs() < 1e-9);
    }
}

#[test]
fn calls_cancelled_before_an_idle_service_could_answer_are_not_drops() {
    for (held, dropped, work) in [(MS, 0, 20.0), (4 * MS, 0, 80.0), (7 * MS, 100, 100.0)] {
        let (sampler, windows) = sampler(10 * MS, 5);
        let start = Instant::now();
        // The no-load latency is 5 ms.
        (0..=20).for_each(|at| _ = answered(&sampler, start + at * MS));
        let before = windows.lock().unwrap().len();
        for _ in 0..100 {
            ended(&sampler, Class::Cancelled, held, start + 25 * MS);
        }
        (30..=60).for_each(|at| _ = answered(&sampler, start + at * MS));
        let windows = windows.lock().unwrap();
        let after = &windows[before..];
        let sum = |part: fn(&Window) -> f64| after.iter().map(part).sum::<f64>();
        assert_eq!(after.iter().map(|w| w.cancelled).sum::<u64>(), 100);
        assert_eq!(
            after.iter().map(|w| w.dropped).sum::<u64>(),
            dropped,
            "{held:?}"
        );
        assert!((sum(|w| w.cancelled_work) - work).abs() < 1.0, "{held:?}");
    }
}

#[test]
fn a_window_restarts_when_load_arrives_after_idle_time() {
    let (sampler, windows) = sampler(10 * MS, 50);
    let start = Instant::now();
    let minute = Duration::from_secs(60);
    (0..30).for_each(|at| _ = answered(&sampler, start + at * minute));
    let flood = start + 30 * minute;
    sampler.found_no_slot(flood, 10, || 0);
    // Calls of 5 ms on ten slots: ten at a time.
    for at in 1..=10 {
        for _ in 0..10 {
            answered(&sampler, flood + at * 5 * MS);
        }
    }
    let windows = windows.lock().unwrap();
    assert_eq!(windows[0].began, flood);
    assert!(
        windows[0].ended <= flood + 35 * MS,
        "{:?}",
        windows[0].ended - flood
    );
}

#[test]
fn a_window_of_a_busy_limit_does_not_restart() {
    let (sampler, windows) = sampler(10 * MS, 5);
    let start = Instant::now();
    for at in 0..=10 {
        (0..10).for_each(|_| _ = answered(&sampler, start + at * MS));
        sampler.found_no_slot(start + at * MS, 10, || 0);
    }
    assert_eq!(windows.lock().unwrap()[0].began, start);
}

#[test]
fn the_time_left_is_a_low_quantile() {
    let (sampler, _) = sampler(10 * MS, 5);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..5_000 {
        sampler.has_left(MS.mul_f64(100.0 + 900.0 * random.f64()));
    }
    let mean = (0..1_000).map(|_| {
        sampler.has_left(MS.mul_f64(100.0 + 900.0 * random.f64()));
        sampler.deadline_left.load(Relaxed) as f64 / 1e6
    });
    let mean = mean.sum::<f64>() / 1_000.0;
    // One tenth of the requests has less than 190 ms.
    assert!((130.0..230.0).contains(&mean), "{mean}");
}

#[test]
fn rejections_of_inner_gates_end_no_window() {
    let (sampler, windows) = sampler(10 * MS, 1);
    let start = Instant::now();
    answered(&sampler, start);
    for at in 0..100 {
        assert!(!ended(&sampler, Class::Rejected, MS, start + at * MS));
    }
    assert!(answered(&sampler, start + 1000 * MS));
    let window = windows.lock().unwrap()[0];
    assert_eq!((window.answered, window.dropped), (1, 0));
}

#[test]
fn a_window_of_size_zero_holds_one_call_and_an_unlimited_one_never_ends() {
    let (none, windows) = sampler(Duration::ZERO, 0);
    let (endless, _) = sampler(Duration::MAX, u32::MAX);
    let start = Instant::now();
    for at in 0..10 {
        assert_eq!(answered(&none, start + at * MS), at > 0);
        assert!(!answered(&endless, start + at * MS));
    }
    // The window has just been closed, as if by another thread.
    assert!(none.close(start + 20 * MS, 10, || 0).is_none());
    assert_eq!(windows.lock().unwrap().len(), 9);
}

#[test]
fn a_window_reports_the_limit_requests_without_slot_and_rejections() {
    let (sampler, windows) = sampler(10 * MS, 1);
    let start = Instant::now();
    let outcome = Outcome::new(Class::Success, MS, start);
    for (at, rejected) in [(0, 100), (10, 103), (20, 104)] {
        (0..4).for_each(|_| sampler.found_no_slot(start, 10, || rejected));
        sampler.count(&outcome, || 1, None);
        sampler.close(start + at * MS, 20 + at, || rejected);
    }
    let windows = windows.lock().unwrap();
    let seen = windows
        .iter()
        .map(|w| (w.limit, w.without_slot, w.rejected));
    assert_eq!(seen.collect::<Vec<_>>(), [(30, 4, 3), (40, 4, 1)]);
}

#[test]
fn a_pause_is_distinguished_from_high_latency() {
    let (sampler, windows) = sampler(10 * MS, 20);
    let start = Instant::now();
    let call = |at: u64, latency| {
        let at = start + Duration::from_millis(at);
        ended(&sampler, Class::Success, latency, at)
    };
    (0..=20).for_each(|at| _ = call(at, 5 * MS));
    // One minute without requests, and ten seconds without an answer.
    (21..31).for_each(|at| _ = call(at, 5 * MS));
    (60_031..60_041).for_each(|at| _ = call(at, 5 * MS));
    (60_041..60_051).for_each(|at| _ = call(at, 5 * MS));
    call(70_051, Duration::from_secs(10));
    (70_052..70_062).for_each(|at| _ = call(at, 5 * MS));
    // Five times as slow as before is not a pause.
    (1..=40).for_each(|at| _ = call(70_062 + 25 * at, 25 * MS));
    let windows = windows.lock().unwrap();
    let seen: Vec<_> = windows
        .iter()
        .map(|w| (w.silent, w.ended - w.began))
        .collect();
    let seconds = |time: Duration| (time.as_secs_f64()).round() as u64;
    let rounded: Vec<_> = seen
        .iter()
        .map(|(silent, time)| (seconds(*silent), seconds(*time)))
        .collect();
    assert_eq!(rounded[..3], [(0, 0), (60, 60), (10, 10)], "{seen:?}");
    assert!(seen[3..].len() >= 2, "{seen:?}");
    assert!(
        seen[3..].iter().all(|(silent, _)| silent.is_zero()),
        "{seen:?}"
    );
    // Without its pause, a window is about as long as one without a pause.
    assert!(seen[1].1.saturating_sub(seen[1].0) < 50 * MS, "{seen:?}");
}

#[test]
fn threads_that_count_and_close_concurrently_count_each_call_once() {
    const THREADS: u32 = 4;
    const CALLS: u32 = 50_000;
    for seed in 0..4 {
        let (sampler, windows) = sampler(Duration::from_micros(50), 10);
        let start = Instant::now();
        answered(&sampler, start);
        thread::scope(|scope| {
            for n in 0..THREADS {
                let sampler = &sampler;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed * 100 + u64::from(n));
                    for at in 1..=CALLS {
                        let at = start + at * Duration::from_micros(1);
                        let dropped = random.u8(..5) == 0;
                        let class = if dropped {
                            Class::Cancelled
                        } else {
                            Class::Success
                        };
                        ended(sampler, class, 5 * MS, at);
                        sampler.without_slot.add();
                    }
                });
            }
        });
        // Calls that are still counted, until each is checked again.
        for at in 1..=100 {
            answered(&sampler, start + at * Duration::from_secs(1));
        }
        let windows = windows.lock().unwrap();
        assert!(windows.len() > 100, "{}", windows.len());
        assert!(
            windows
                .windows(2)
                .all(|pair| pair[0].ended == pair[1].began)
        );
        let sum = |part: fn(&Window) -> u64| windows.iter().map(part).sum::<u64>();
        let left = sampler.totals().answered - 1 - sum(|w| w.answered);
        assert!(left < 10, "{left} after the last window");
        let all = u64::from(THREADS * CALLS);
        assert_eq!(sum(|w| w.answered) + left + sum(|w| w.cancelled), all + 100);
        assert_eq!(sum(|w| w.without_slot), all);
    }
}

#[test]
fn of_very_many_calls_some_are_sampled_and_all_are_counted() {
    const IN_A_WINDOW: u64 = 40_000;
    let (sampler, windows) = sampler(2 * MS, 50);
    let start = Instant::now();
    for number in 0..10 * IN_A_WINDOW + 100 {
        let at = start + Duration::from_nanos(number * 2_000_000 / IN_A_WINDOW);
        // In threes, so that the sampled calls do not all have the same latency.
        let latency = [4 * MS, MS, MS][number as usize % 3];
        ended(&sampler, Class::Success, latency, at);
    }
    let windows = windows.lock().unwrap().clone();
    assert_eq!(windows.len(), 10);
    for window in &windows[1..] {
        assert!(window.answered.abs_diff(IN_A_WINDOW) <= 64, "{window:?}");
        assert!(window.latency.abs_diff(2 * MS) < MS / 10, "{window:?}");
        let deviation = MS.mul_f64(2_f64.sqrt());
        assert!(window.deviation.abs_diff(deviation) < MS / 5, "{window:?}");
        assert_eq!(window.max_in_flight, 3);
    }
    let counted = sampler.totals().answered;
    assert_eq!(counted, 10 * IN_A_WINDOW + 100);
    let (many, some) = (
        counted - windows[0].answered,
        sampled(&sampler) - windows[0].answered,
    );
    assert!(some < many / 16 && some >= many / 64, "{some} of {many}");
    // With few calls all are sampled again.
    for second in 1..=200 {
        answered(&sampler, start + Duration::from_secs(second));
    }
    assert_eq!(sampler.stride.load(Relaxed), 1);
}

#[test]
fn answered_calls_not_sampled_in_a_window_of_drops_are_counted_in_the_next() {
    let (sampler, windows) = sampler(10 * MS, 5);
    let start = Instant::now();
    answered(&sampler, start);
    sampler.stride.store(64, Relaxed);
    (1..=3).for_each(|at| _ = answered(&sampler, start + at * MS));
    (11..=27).for_each(|at| _ = ended(&sampler, Class::Overloaded, MS, start + at * MS));
    (40..=44).for_each(|at| _ = answered(&sampler, start + at * MS));
    let windows = windows.lock().unwrap();
    let seen = windows.iter().map(|w| (w.answered, w.dropped, w.latency));
    let seen: Vec<_> = seen.collect();
    assert_eq!(seen, [(0, 17, Duration::ZERO), (8, 0, 5 * MS)]);
}

proptest! {
    #[test]
    fn percentiles_are_recent_and_at_most_a_quarter_too_high(
        old in 1..1000_u64,
        now in prop::collection::vec(1..10_000_u64, 100..200),
    ) {
        let (sampler, _) = sampler(MS, 100);
        let start = Instant::now();
        answered(&sampler, start);
        for at in 0..100 {
            ended(&sampler, Class::Success, Duration::from_secs(old), start + at * MS);
        }
        // Old latencies decay within some windows: each has nine tenths of the weight of the next.
        let mut closed = None;
        let mut at = start + Duration::from_secs(1);
        for _ in 0..60 {
            for micros in &now {
                let latency = Duration::from_micros(*micros);
                let outcome = Outcome::new(Class::Success, latency, at);
                if let Some(now) = sampler.count(&outcome, || 1, None) {
                    closed = sampler.close(now, 10, || 0).or(closed);
                }
                at += MS;
            }
        }
        let mut sorted = now.clone();
        sorted.sort_unstable();
        let Closed { p90, p99, .. } = closed.unwrap();
        for (part, measured) in [(0.9, p90), (0.99, p99)] {
            // Windows are not whole rounds, so some hundredths of the calls may have more weight.
            let rank = |part: f64| Duration::from_micros(sorted[((part * sorted.len() as f64) as usize).min(sorted.len() - 1)]);
            let (least, most) = (rank(part - 0.06), rank(1.0_f64.min(part + 0.06)));
            prop_assert!(measured >= least, "{part}: {measured:?} < {least:?}");
            prop_assert!(measured <= most.mul_f64(1.26) + Duration::from_micros(2), "{part}: {measured:?} > {most:?}");
        }
    }
}
