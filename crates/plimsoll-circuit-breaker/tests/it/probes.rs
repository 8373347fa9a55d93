//! Half-open: probes are limited in number and time, and released.

use plimsoll_core::Class;

use super::{Bench, millis, secs, small};

#[test]
fn law_11_probes_at_a_time_are_limited() {
    let bench = Bench::due();
    let (first, second) = (bench.ask().unwrap(), bench.ask().unwrap());
    assert!(first.is_probe() && second.is_probe());
    assert_ne!(first, second);
    assert!(bench.ask().is_err());
    bench.end(first, Class::Success);
    assert!(bench.ask().unwrap().is_probe());
    assert!(bench.ask().is_err());
    assert_eq!(bench.breaker.handle().probes(), 3);
}

#[test]
fn enough_successes_close() {
    let bench = Bench::due();
    bench.call(Class::Success);
    assert_eq!(bench.state(), "half-open");
    bench.call(Class::Success);
    assert_eq!(bench.state(), "closed");
    assert!(!bench.ask().unwrap().is_probe());
}

#[test]
fn law_11_a_probe_that_ends_releases_exactly_one_place() {
    let bench = Bench::due();
    let handle = bench.breaker.handle();
    handle.set_probes_at_a_time(1).unwrap();
    handle.set_successes(50).unwrap();
    for _ in 0..40 {
        let probe = bench.ask().unwrap();
        assert!(bench.ask().is_err(), "one probe at a time");
        bench.end(probe, Class::Success);
    }
    assert_eq!((bench.state(), handle.probes()), ("half-open", 40));
}

#[test]
fn successes_may_exceed_probes_at_a_time() {
    let bench = Bench::due();
    bench.breaker.handle().set_successes(5).unwrap();
    for _ in 0..4 {
        bench.call(Class::Success);
        assert_eq!(bench.state(), "half-open");
    }
    bench.call(Class::Success);
    assert_eq!(bench.state(), "closed");
}

#[test]
fn law_11_probes_that_are_not_counted_release_their_places() {
    let bench = Bench::due();
    for round in 0..100 {
        let permit = bench
            .ask()
            .unwrap_or_else(|_| panic!("no probe in round {round}"));
        assert!(permit.is_probe());
        bench.end(permit, Class::Cancelled);
        bench.revoke(bench.ask().unwrap());
        assert_eq!(bench.breaker.handle().probing(), 0);
    }
    assert_eq!(bench.state(), "half-open", "and they are not counted");
}

#[test]
fn overloaded_probes_open_when_they_count() {
    let bench = Bench::due();
    bench.call(Class::Overloaded);
    assert_eq!(bench.state(), "open");
}

#[test]
fn law_11_a_probe_that_hangs_loses_its_place_to_another() {
    let mut bench = Bench::due();
    let (_hung, also_hung) = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.pass(millis(9_999));
    assert_eq!(bench.rejected(), Some(millis(1)));
    bench.pass(millis(1));
    let (third, _fourth) = (bench.ask().unwrap(), bench.ask().unwrap());
    assert!(bench.ask().is_err(), "two more, and no others");
    // A late end releases no place that now belongs to another probe.
    bench.end(also_hung, Class::Cancelled);
    assert!(bench.ask().is_err());
    assert_eq!(bench.breaker.handle().probing(), 2);
    bench.end(third, Class::Cancelled);
    assert!(bench.ask().is_ok());
}

#[test]
fn a_late_probe_of_the_same_generation_counts() {
    let mut bench = Bench::due();
    let (first, second) = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.pass(secs(60));
    _ = bench.ask().unwrap();
    bench.end(first, Class::Success);
    bench.end(second, Class::Success);
    assert_eq!(
        bench.state(),
        "closed",
        "an answer after the probe timeout is a success"
    );

    let mut bench = Bench::due();
    let hung = bench.ask().unwrap();
    bench.pass(secs(60));
    bench.end(hung, Class::Failure);
    assert_eq!(bench.state(), "open");
    assert_eq!(
        bench.rejected(),
        Some(secs(1)),
        "counted from the end of the probe"
    );
}

#[test]
fn a_probe_slower_than_a_slow_call_opens() {
    let bench = Bench::due_with(small().slow_call(millis(50)));
    bench.end_after(bench.ask().unwrap(), Class::Success, millis(51));
    assert_eq!(bench.state(), "open");
}

#[test]
fn revoking_the_first_probe_keeps_the_place_of_the_next() {
    let bench = Bench::due();
    bench.breaker.handle().set_probes_at_a_time(1).unwrap();
    bench.revoke(bench.ask().unwrap());
    let probe = bench.ask().unwrap();
    assert!(bench.ask().is_err());
    bench.revoke(probe);
    assert!(bench.ask().is_ok());
}

#[test]
fn fewer_probes_at_a_time_apply_at_once() {
    let bench = Bench::due();
    let (first, second) = (bench.ask().unwrap(), bench.ask().unwrap());
    bench.breaker.handle().set_probes_at_a_time(1).unwrap();
    bench.end(first, Class::Cancelled);
    assert!(bench.ask().is_err());
    bench.end(second, Class::Cancelled);
    assert!(bench.ask().is_ok());
}

#[test]
fn law_11_concurrent_requests_get_no_more_probes_than_the_limit() {
    for _ in 0..50 {
        let bench = Bench::due();
        let start = std::sync::Barrier::new(4);
        let let_in: usize = std::thread::scope(|scope| {
            let crowd: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        (0..10).filter(|_| bench.ask().is_ok()).count()
                    })
                })
                .collect();
            crowd.into_iter().map(|asked| asked.join().unwrap()).sum()
        });
        assert_eq!((let_in, bench.breaker.handle().probing()), (2, 2));
    }
}
