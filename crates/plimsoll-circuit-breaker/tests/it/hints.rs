//! Retry hints of a half-open breaker.

use plimsoll_core::{Class, Kind};

use super::{Bench, millis, secs};

/// Half-open with all probes running, opened by a call of this duration.
fn probing(took_millis: u64) -> Bench {
    let mut bench = Bench::small();
    for _ in 0..2 {
        let call = bench.ask().unwrap();
        bench.end_after(call, Class::Failure, millis(took_millis));
    }
    bench.pass(secs(1));
    _ = (bench.ask().unwrap(), bench.ask().unwrap());
    bench
}

#[test]
fn the_hint_of_a_half_open_breaker_is_the_duration_of_a_probe() {
    for (took, hint) in [(0, 100), (99, 100), (101, 101), (700, 700), (60_000, 1_000)] {
        let bench = probing(took);
        let rejection = bench.ask().unwrap_err();
        assert_eq!(
            (rejection.kind(), rejection.retry_after()),
            (Kind::CircuitOpen, Some(millis(hint))),
            "a call took {took} ms"
        );
        let handle = bench.breaker.handle();
        assert_eq!(handle.retry_after(bench.now), Some(millis(hint)));
    }
}

#[test]
fn the_latest_successful_probe_updates_the_hint() {
    let bench = Bench::due();
    bench.breaker.handle().set_successes(9).unwrap();
    let (first, second) = (bench.ask().unwrap(), bench.ask().unwrap());
    assert_eq!(bench.rejected(), Some(millis(100)));
    bench.end_after(first, Class::Success, millis(400));
    _ = bench.ask().unwrap();
    assert_eq!(bench.rejected(), Some(millis(400)));
    bench.end_after(second, Class::Cancelled, millis(900));
    _ = bench.ask().unwrap();
    assert_eq!(
        bench.rejected(),
        Some(millis(400)),
        "cut off, so its duration does not count"
    );
}

#[test]
fn the_hint_never_exceeds_the_probe_timeout() {
    let mut bench = probing(700);
    bench.pass(millis(9_500));
    assert_eq!(bench.rejected(), Some(millis(500)));
}

#[test]
fn only_a_half_open_breaker_estimates() {
    let half_open = probing(700).ask().unwrap_err();
    assert!(half_open.is_estimate());
    let bench = Bench::open();
    assert!(!bench.ask().unwrap_err().is_estimate());
}
