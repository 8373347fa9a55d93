//! Load signals and their objectives.

use std::time::Duration;

use plimsoll_core::{Class, LoadSignal, Outcome, Policy};
use plimsoll_load_shed::{ExecutorDelay, InvalidExecutorDelay, QueueDelay, WorstOf};
use tokio::time::{Instant, advance, sleep};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn the_load_is_the_mean_delay_of_the_last_interval() {
    let (delay, start) = (QueueDelay::mean(ms(20)).unwrap(), Instant::now());
    for waited in [10, 20, 60] {
        delay.record(ms(waited), start);
    }
    assert_eq!(delay.load(), 0.0);
    delay.record(ms(5), start + ms(100));
    assert_eq!(delay.load(), 1.5);
    delay.record(ms(0), start + ms(200));
    assert_eq!(
        delay.load(),
        0.25,
        "the delay that ends an interval belongs to the next"
    );
}

#[test]
fn twenty_delays_end_an_interval_early() {
    let (delay, start) = (QueueDelay::mean(ms(20)).unwrap(), Instant::now());
    for _ in 0..19 {
        delay.record(ms(40), start);
    }
    _ = delay.admit(&mut (), start + ms(50));
    assert_eq!(delay.load(), 0.0, "19 delays are too few");
    delay.record(ms(40), start + ms(51));
    _ = delay.admit(&mut (), start + ms(53));
    assert_eq!(delay.load(), 2.0);
}

#[test]
fn the_relative_objective_is_one_and_a_half_mean_run_times() {
    for run in [2, 200] {
        let (delay, start) = (QueueDelay::relative(), Instant::now());
        delay.record(ms(3 * run), start);
        _ = delay.admit(&mut (), start + ms(100));
        assert_eq!(delay.load(), 0.0, "no run time was recorded");
        delay.record_run(ms(run));
        delay.record(ms(3 * run), start + ms(150));
        _ = delay.admit(&mut (), start + ms(200));
        assert_eq!(delay.load(), 2.0);
    }
}

#[test]
fn the_mean_run_time_follows_a_change() {
    let (delay, start) = (QueueDelay::relative(), Instant::now());
    let load = |run: u64, from: u64| {
        for n in 0..1000 {
            delay.record_run(ms(run));
            delay.record(ms(30), start + ms(from + n));
        }
        delay.load()
    };
    assert_eq!(load(10, 0), 2.0);
    let later = load(20, 1000);
    assert!((1.0..1.05).contains(&later), "{later}");
}

#[test]
fn the_lowest_delay_ignores_a_burst() {
    let (delay, start) = (QueueDelay::lowest(ms(5)).unwrap(), Instant::now());
    for waited in [80, 40, 1] {
        delay.record(ms(waited), start);
    }
    delay.record(ms(50), start + ms(100));
    assert_eq!(delay.load(), 0.2);
    delay.record(ms(90), start + ms(200));
    assert_eq!(delay.load(), 10.0);
}

#[test]
fn the_load_is_kept_for_a_second_without_delays() {
    let (delay, start) = (QueueDelay::mean(ms(10)).unwrap(), Instant::now());
    delay.record(ms(30), start);
    let arrives = |after| {
        _ = delay.admit(&mut (), start + after);
        delay.load()
    };
    assert_eq!(arrives(ms(100)), 3.0);
    assert_eq!(arrives(ms(1000)), 3.0);
    assert_eq!(arrives(ms(1200)), 0.0);
}

#[tokio::test(start_paused = true)]
async fn as_a_policy_it_records_waits_and_run_times() {
    let (delay, now) = (QueueDelay::mean(ms(10)).unwrap(), Instant::now());
    let outcome = Outcome::new(Class::Success, ms(1), now);
    _ = delay.admit(&mut (), now);
    Policy::<()>::finish(&delay, (), &outcome);
    _ = delay.admit(&mut (), now + ms(100));
    assert_eq!(delay.load(), 0.0);
    let relative = QueueDelay::relative();
    assert!(
        Policy::<()>::interests(&relative, plimsoll_core::policy::Interests::LATENCY).latency()
    );
    assert!(!Policy::<()>::interests(&delay, plimsoll_core::policy::Interests::LATENCY).latency());
    Policy::<()>::finish(&relative, (), &outcome);
    relative.record(ms(3), now + ms(100));
    _ = relative.admit(&mut (), now + ms(200));
    assert_eq!(relative.load(), 1.0, "one request waited 3 ms, the other 0");
}

#[test]
fn unfinished_runs_do_not_change_the_mean_run_time() {
    let (delay, start) = (QueueDelay::relative(), Instant::now());
    let ends = |class, ran, times| {
        let outcome = Outcome::new(class, ran, start);
        (0..times).for_each(|_| Policy::<()>::finish(&delay, (), &outcome));
    };
    _ = delay.admit(&mut (), start);
    ends(Class::Success, ms(20), 20);
    ends(Class::Cancelled, ms(1), 1000);
    ends(Class::Overloaded, ms(0), 1000);
    ends(Class::Rejected, ms(0), 1000);
    _ = delay.admit(&mut (), start + ms(100));
    delay.record(ms(30), start + ms(150));
    _ = delay.admit(&mut (), start + ms(200));
    assert_eq!(delay.load(), 1.0, "30 ms over 1.5 times 20 ms");
}

#[test]
fn law_03_what_a_later_policy_or_gate_rejects_reports_no_delay() {
    let (delay, start) = (QueueDelay::mean(ms(10)).unwrap(), Instant::now());
    delay.record(ms(30), start);
    for _ in 0..100 {
        _ = delay.admit(&mut (), start);
        Policy::<()>::revoke(&delay, (), start, start);
        let rejected = Outcome::new(Class::Rejected, Duration::ZERO, start);
        Policy::<()>::finish(&delay, (), &rejected);
    }
    _ = delay.admit(&mut (), start + ms(100));
    assert_eq!(delay.load(), 3.0);
}

#[test]
fn objectives_out_of_bounds_are_errors() {
    for bad in [Duration::ZERO, Duration::from_secs(3601)] {
        let error = QueueDelay::mean(bad).unwrap_err();
        let expected = format!("objective must be in 1us..=1h, got {bad:?}");
        assert_eq!(error.to_string(), expected);
        let executor = ExecutorDelay::spawn(bad).unwrap_err();
        assert_eq!(executor, InvalidExecutorDelay::Objective(bad));
        assert_eq!(QueueDelay::lowest(bad).unwrap_err(), error);
    }
    assert_eq!(
        ExecutorDelay::spawn(ms(20)).unwrap_err(),
        InvalidExecutorDelay::NoRuntime
    );
}

#[test]
fn the_highest_signal_counts_and_nan_is_ignored() {
    assert_eq!(WorstOf::new().load(), 0.0);
    let worst = WorstOf::new()
        .and(|| 0.5)
        .and(|| f64::NAN)
        .and(|| 1.25)
        .and(|| -3.0);
    assert_eq!(worst.load(), 1.25);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_executor_raises_the_load_and_recovers() {
    let delay = ExecutorDelay::spawn(ms(20)).unwrap();
    sleep(ms(100)).await;
    assert!(delay.load() < 0.1, "{}", delay.load());
    // As after a handler that computed for 50 ms: the probe is polled late.
    advance(ms(50)).await;
    tokio::task::yield_now().await;
    let load = delay.load();
    assert!((1.9..=2.6).contains(&load), "{load}");
    sleep(ms(500)).await;
    assert!(delay.load() < 0.1, "{}", delay.load());
}

#[tokio::test(start_paused = true)]
async fn the_probe_ends_with_the_last_clone() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let delay = ExecutorDelay::spawn(ms(20)).unwrap();
    let clone = delay.clone();
    assert_eq!(tasks(), before + 1);
    drop(delay);
    sleep(ms(50)).await;
    assert_eq!(tasks(), before + 1);
    drop(clone);
    sleep(ms(50)).await;
    assert_eq!(tasks(), before);
}

#[cfg(target_os = "linux")]
mod system {
    use plimsoll_load_shed::{InvalidSystemLoad, SystemLoad};

    use super::*;

    fn samplers() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
        tasks
            .filter_map(|task| name(task.ok()?).ok())
            .filter(|name| name.trim() == "plimsoll-system")
            .count()
    }

    /// Polls in real time: the sampler's thread has no clock to pause.
    async fn until(mut done: impl FnMut() -> bool) {
        tokio::time::timeout(Duration::from_secs(20), async {
            while !done() {
                sleep(ms(5)).await;
            }
        })
        .await
        .expect("the condition did not hold within 20 seconds");
    }

    #[tokio::test]
    async fn this_machines_load_is_read_and_the_thread_ends_with_the_last_clone() {
        let builder = SystemLoad::builder().memory(0.000_001);
        let system = builder.interval(ms(10)).start().unwrap();
        let clone = system.clone();
        until(|| system.memory().is_some() && system.cpu().is_some()).await;
        let memory = system.memory().unwrap();
        assert!(memory > 0.0 && memory <= 1.5, "{memory}");
        until(|| system.load() > 1.0).await;
        drop(system);
        assert_eq!(samplers(), 1);
        drop(clone);
        until(|| samplers() == 0).await;
    }

    #[test]
    fn objectives_are_shares() {
        for bad in [0.0, -0.1, 1.01, f64::NAN] {
            let error = SystemLoad::builder().cpu_pressure(bad).start().unwrap_err();
            assert!(matches!(
                error,
                InvalidSystemLoad::Share {
                    field: "cpu_pressure",
                    ..
                }
            ));
        }
        let error = SystemLoad::builder().interval(ms(9)).start().unwrap_err();
        assert_eq!(error, InvalidSystemLoad::Interval(ms(9)));
    }
}
