//! Counts from many threads, and what they take.

use std::{sync::Barrier, thread, time::Duration};

use hdrhistogram::Histogram;
use plimsoll_core::{Class, Criticality, Kind, Observe, Outcome, Priority, Rejected, Rejection};
use plimsoll_metrics::{GateMetrics, Metrics};
use proptest::prelude::*;
use tokio::time::Instant;

fn success(nanos: u64) -> Outcome {
    Outcome::new(Class::Success, Duration::from_nanos(nanos), Instant::now())
}

/// All durations, evenly over 2^from to 2^to nanoseconds.
fn spread(from: u32, to: u32) -> impl Iterator<Item = u64> + Clone {
    (from..to).flat_map(|bits| (0..256).map(move |step| (1 << bits) + (step << bits >> 8)))
}

#[test]
fn counts_reconcile_with_more_threads_than_shards_and_threads_that_end() {
    const EACH: u64 = 500;
    const ROUNDS: u64 = 4;
    let gate = &Metrics::new().gate("edge");
    // More threads at once than there are shards with one writer, so some share one, and several
    // rounds, so shards change hands.
    let threads = 8 + 2 * thread::available_parallelism().map_or(1, usize::from) as u64;
    for _ in 0..ROUNDS {
        let together = &Barrier::new(threads as usize);
        thread::scope(|scope| {
            for thread in 0..threads {
                scope.spawn(move || {
                    let rejection = Rejection::new("shed", Kind::Full);
                    together.wait();
                    for n in 0..EACH {
                        gate.admitted("edge", Duration::ZERO);
                        gate.rejected("edge", &Rejected::new(&rejection, None));
                        // One in ten stays in flight.
                        if n % 10 != 0 {
                            let class = Class::ALL[(n + thread) as usize % Class::ALL.len()];
                            gate.finished(
                                "edge",
                                &Outcome::new(class, Duration::from_nanos(n << 12), Instant::now()),
                            );
                        }
                    }
                    together.wait();
                });
            }
        });
    }
    let (counts, all) = (gate.counts(), ROUNDS * threads * EACH);
    assert_eq!((counts.admitted, counts.rejected()), (all, all));
    assert_eq!((counts.offered(), counts.in_flight()), (2 * all, all / 10));
    let finished: u64 = Class::ALL.map(|class| counts.finished(class)).iter().sum();
    assert_eq!(finished + counts.in_flight(), counts.admitted);
    let timed =
        [Class::Success, Class::Failure, Class::Ignored].map(|class| counts.finished(class));
    assert_eq!(gate.latency().count(), timed.iter().sum::<u64>());
    assert_eq!(counts.rejected_of(Criticality::Critical), all);
}

#[test]
fn rejections_are_counted_by_the_criticality_of_the_request() {
    let gate = Metrics::new().gate("edge");
    let rejection = Rejection::new("shed", Kind::Full);
    for (criticality, times) in Criticality::ALL.into_iter().zip(1..) {
        let mut req = http::Request::new(());
        req.extensions_mut().insert(Priority::new(criticality));
        for _ in 0..times {
            gate.rejected("edge", &Rejected::new(&rejection, Some((&req).into())));
        }
    }
    let counts = gate.counts();
    assert_eq!(
        Criticality::ALL.map(|one| counts.rejected_of(one)),
        [1, 2, 3, 4]
    );
    assert_eq!(counts.rejected(), 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn shards_add_up_to_one_histogram(
        parts in prop::collection::vec(
            prop::collection::vec((0u32..45, any::<u64>()).prop_map(|(bits, n)| n % (1 << bits)), 0..100), 1..12),
    ) {
        let gate = &Metrics::new().gate("edge");
        thread::scope(|scope| {
            for part in &parts {
                scope.spawn(move || part.iter().for_each(|nanos| gate.finished("edge", &success(*nanos))));
            }
        });
        let mut plain = Histogram::<u64>::new_with_bounds(16, (1 << 40) - 1, 2).unwrap();
        for nanos in parts.iter().flatten() {
            plain.saturating_record(plain.lowest_equivalent((*nanos).min((1 << 40) - 1)));
        }
        prop_assert!(gate.latency().histogram() == &plain);
    }
}

/// Records all durations between two powers of two, in all three histograms.
fn use_all(gate: &GateMetrics, from: u32, to: u32) {
    let rejection = Rejection::new("shed", Kind::Full);
    gate.rejected("edge", &Rejected::new(&rejection, None));
    for nanos in spread(from, to) {
        gate.admitted("edge", Duration::from_nanos(nanos));
        gate.finished("edge", &success(nanos));
    }
}

#[test]
#[allow(
    clippy::print_stdout,
    reason = "the docs of the crate state the figures"
)]
fn a_gate_takes_less_than_128_kib() {
    let gate = &Metrics::new().gate("edge").every_permit();
    let (idle, together) = (gate.bytes(), &Barrier::new(3));
    let (used, full) = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                // Both live all the time, so that each has a shard of its own, and no third is used.
                for (from, to) in [(17, 30), (4, 40)] {
                    use_all(gate, from, to);
                    together.wait();
                    together.wait();
                }
            });
        }
        [(), ()]
            .map(|()| {
                together.wait();
                let bytes = gate.bytes();
                together.wait();
                bytes
            })
            .into()
    });
    println!("idle {idle}, 0.1 ms to 1 s {used}, 16 ns to 18 minutes {full} bytes");
    // A machine with more processors has more shards, each of 256 bytes, and as many tables.
    let shards = 272 * thread::available_parallelism().map_or(1, usize::from);
    assert!(idle < 3 * 1024 + shards, "{idle}");
    assert!(used < 88 * 1024 + shards, "{used}");
    assert!(full < 128 * 1024 + shards, "{full}");
}

#[test]
fn the_bytes_of_a_gate_are_what_it_allocates() {
    let (metrics, mut gate) = (Metrics::new(), None);
    let allocated = allocation_counter::measure(|| {
        let new = metrics.gate("edge").every_permit();
        for nanos in spread(10, 40) {
            new.admitted("edge", Duration::from_nanos(nanos));
            new.finished("edge", &success(nanos));
        }
        gate = Some(new);
    });
    let (stated, allocated) = (gate.unwrap().bytes() as i64, allocated.bytes_current);
    // Besides, the registry's list and the name.
    assert!(
        (stated - allocated).abs() < 512,
        "{stated} stated, {allocated} allocated"
    );
}

#[test]
fn memory_stays_flat_over_a_million_requests() {
    let gate = Metrics::new().gate("edge");
    use_all(&gate, 0, 40);
    let before = gate.bytes();
    let allocated = allocation_counter::measure(|| {
        for nanos in spread(0, 40).cycle().take(1_000_000) {
            gate.admitted("edge", Duration::ZERO);
            gate.finished("edge", &success(nanos));
        }
    });
    assert!(allocated.bytes_max < 32 * 1024, "{}", allocated.bytes_max);
    // One histogram has a share of its durations only: the last octaves may be new.
    assert!(gate.bytes() < before + 32 * 1024);
    assert_eq!(gate.counts().admitted, 1_000_000 + 40 * 256);
}

#[test]
fn one_permit_in_128_is_measured() {
    let gate = Metrics::new().gate("edge");
    for _ in 0..1_280_000 {
        gate.finished("edge", &success(1 << 20));
    }
    let measured = gate.permits().count();
    // The mean is 10,000, its deviation about 60.
    assert!((9_500..10_500).contains(&measured), "{measured}");
    let every = Metrics::new().gate("edge").every_permit();
    (0..100).for_each(|_| every.finished("edge", &success(1 << 20)));
    assert_eq!(every.permits().count(), 100);
    let failing = Metrics::new().gate("edge");
    let failure = Outcome::new(Class::Failure, Duration::from_millis(1), Instant::now());
    (0..1_280_000).for_each(|_| failing.finished("edge", &failure));
    let measured = failing.permits().count();
    assert!((9_500..10_500).contains(&measured), "{measured}");
}
