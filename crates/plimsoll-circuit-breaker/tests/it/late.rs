//! Results of an earlier generation are not counted.

use plimsoll_core::Class;

use super::{Bench, secs};

#[test]
fn law_11_late_failures_do_not_open_a_half_open_breaker() {
    let mut bench = Bench::small();
    let slow: Vec<_> = (0..10).map(|_| bench.ask().unwrap()).collect();
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    bench.pass(secs(1));
    let probe = bench.ask().unwrap();
    for permit in slow {
        bench.end(permit, Class::Failure);
    }
    assert_eq!(bench.state(), "half-open");
    bench.end(probe, Class::Success);
    bench.call(Class::Success);
    assert_eq!(bench.state(), "closed");
    assert_eq!(bench.breaker.handle().late(), 10);
}

#[test]
fn law_11_late_successes_do_not_close() {
    let mut bench = Bench::small();
    let slow: Vec<_> = (0..10).map(|_| bench.ask().unwrap()).collect();
    bench.call(Class::Failure);
    bench.call(Class::Failure);
    for permit in &slow[..5] {
        bench.end(*permit, Class::Success);
    }
    assert_eq!(bench.state(), "open");
    bench.pass(secs(1));
    let _probe = bench.ask().unwrap();
    for permit in &slow[5..] {
        bench.end(*permit, Class::Success);
    }
    assert_eq!(bench.state(), "half-open");
}

#[test]
fn late_results_do_not_enter_a_new_window() {
    let bench = Bench::small();
    let slow: Vec<_> = (0..10).map(|_| bench.ask().unwrap()).collect();
    bench.breaker.handle().reset();
    for (n, permit) in slow.into_iter().enumerate() {
        let class = [Class::Failure, Class::Success][n % 2];
        bench.end(permit, class);
    }
    assert_eq!(bench.state(), "closed");
    bench.call(Class::Success);
    assert_eq!(
        bench.breaker.handle().failure_rate(),
        None,
        "one outcome of the two that are needed"
    );
}

#[test]
fn law_11_a_probe_of_an_earlier_round_decides_nothing_and_holds_no_place() {
    let mut bench = Bench::due();
    let (slow, failing) = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.end(failing, Class::Failure);
    bench.pass(secs(1));
    let (first, second) = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.end(slow, Class::Failure);
    assert_eq!(bench.state(), "half-open");
    assert!(bench.ask().is_err(), "it released no other probe's place");
    assert_eq!(bench.breaker.handle().late(), 1);
    bench.end(first, Class::Success);
    bench.end(second, Class::Success);
    assert_eq!(bench.state(), "closed");
}

/// A full window without a failure takes a shortcut, for results of its own generation only.
#[test]
fn late_results_after_a_healthy_period_are_counted_as_late() {
    for class in [Class::Success, Class::Failure, Class::Cancelled] {
        let bench = Bench::small();
        for _ in 0..4 {
            bench.call(Class::Success);
        }
        let slow = bench.ask().unwrap();
        let handle = bench.breaker.handle();
        handle.force_open();
        bench.end(slow, class);
        let counted = u64::from(class != Class::Cancelled);
        assert_eq!((handle.late(), handle.calls()), (counted, 4), "{class:?}");
    }
}

#[test]
fn late_results_in_a_new_healthy_window_are_counted_as_late() {
    let bench = Bench::small();
    let slow = bench.ask().unwrap();
    let handle = bench.breaker.handle();
    handle.reset();
    for _ in 0..4 {
        bench.call(Class::Success);
    }
    bench.end(slow, Class::Success);
    assert_eq!((handle.late(), handle.calls()), (1, 4));
}

#[test]
fn a_late_revocation_releases_no_place() {
    let mut bench = Bench::due();
    let (slow, failing) = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.end(failing, Class::Failure);
    bench.pass(secs(1));
    let _both = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.revoke(slow);
    assert!(bench.ask().is_err());
}

#[test]
fn concurrent_failures_open_once() {
    let bench = Bench::small();
    let slow: Vec<_> = (0..100).map(|_| bench.ask().unwrap()).collect();
    std::thread::scope(|scope| {
        for permits in slow.chunks(25) {
            let bench = &bench;
            scope.spawn(move || {
                for permit in permits {
                    bench.end(*permit, Class::Failure);
                }
            });
        }
    });
    let handle = bench.breaker.handle();
    assert_eq!(
        (handle.opened(), handle.generation(), bench.state()),
        (1, 1, "open")
    );
}
