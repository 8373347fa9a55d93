//! The keys with the most rejections.

use std::{borrow::Cow, thread};

use http::Request;
use plimsoll_core::{Kind, Observe, Rejected, Rejection, RequestHead};
use plimsoll_metrics::{GateMetrics, Metrics, Offender};

/// The header that the tests limit by. Panics for one value.
fn key<'a>(request: &RequestHead<'a>) -> Option<Cow<'a, str>> {
    let key = request.headers.get("x-key")?.to_str().ok()?;
    assert_ne!(key, "panic");
    Some(key.into())
}

fn gate() -> GateMetrics {
    Metrics::new().gate("edge").offenders(key)
}

fn reject(gate: &GateMetrics, key: &str) {
    let request = Request::get("/").header("x-key", key).body(()).unwrap();
    let rejection = Rejection::new("rate-limit", Kind::OverQuota);
    gate.rejected("edge", &Rejected::new(&rejection, Some((&request).into())));
}

fn read(gate: &GateMetrics) -> Vec<(String, u64, u64)> {
    let all = gate.snapshot().offenders.into_iter();
    all.map(
        |Offender {
             key,
             rejected,
             at_most,
             ..
         }| (key, rejected, at_most),
    )
    .collect()
}

#[test]
fn rejections_are_counted_by_key_to_the_unit_over_all_threads() {
    let gate = &gate();
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for (key, count) in [("a", 50), ("b", 7), ("c", 300)] {
                    (0..count).for_each(|_| reject(gate, key));
                }
            });
        }
    });
    let expected = [("c", 1_800), ("a", 300), ("b", 42)];
    assert_eq!(
        read(gate),
        expected.map(|(key, count)| (key.to_owned(), count, count))
    );
    assert_eq!(gate.counts().rejected(), 2_142);
}

#[test]
fn a_key_with_many_rejections_stays_beside_a_flood_of_others() {
    let gate = gate();
    for number in 0..20_000 {
        reject(&gate, &format!("other {number}"));
        if number % 10 == 0 {
            reject(&gate, "offender");
        }
    }
    let (key, rejected, at_most) = read(&gate).swap_remove(0);
    assert_eq!(key, "offender");
    assert!((1_500..=2_000).contains(&rejected), "{rejected}");
    assert!((2_000..2_500).contains(&at_most), "{at_most}");
}

#[test]
fn law_07_keys_without_end_take_a_fixed_number_of_counters() {
    let gate = gate();
    let before = gate.bytes();
    let allocated = allocation_counter::measure(|| {
        for number in 0..20_000 {
            reject(&gate, &format!("{number} {}", "k".repeat(200)));
        }
    });
    // One table of rejections, and 64 counters with keys of up to 64 bytes.
    let stated = (gate.bytes() - before) as i64;
    assert!(stated < 16 * 1024, "{stated}");
    let taken = allocated.bytes_current;
    assert!(
        (taken - stated).abs() < 512,
        "{taken} bytes, {stated} stated"
    );
}

#[test]
fn a_flood_of_keys_allocates_nothing_once_all_counters_are_taken() {
    let (gate, bare) = (gate(), Metrics::new().gate("bare"));
    let allocations = |gate| {
        let flood = || (0..1_000).for_each(|number| reject(gate, &number.to_string()));
        flood();
        allocation_counter::measure(flood).count_total
    };
    assert_eq!(allocations(&gate), allocations(&bare));
}

#[test]
fn a_hostile_key_is_cut_and_counted_apart() {
    let gate = gate();
    let long = "k".repeat(10_000);
    reject(&gate, &format!("{long}1"));
    reject(&gate, &format!("{long}2"));
    reject(&gate, "");
    let all = read(&gate);
    assert_eq!(all.len(), 3);
    assert!(
        all.iter()
            .all(|(key, rejected, _)| key.len() <= 64 && *rejected == 1)
    );
}

#[test]
fn requests_without_a_key_and_gates_without_a_reader_count_none() {
    let request = Request::get("/").body(()).unwrap();
    let rejection = Rejection::new("rate-limit", Kind::OverQuota);
    let (gate, other) = (gate(), Metrics::new().gate("edge"));
    gate.rejected("edge", &Rejected::new(&rejection, Some((&request).into())));
    gate.rejected("edge", &Rejected::new(&rejection, None));
    reject(&other, "a");
    assert!(read(&gate).is_empty() && read(&other).is_empty());
    assert_eq!(gate.counts().rejected(), 2);
}

#[test]
fn law_10_a_panic_of_the_reader_loses_the_key_and_not_the_rejection() {
    let gate = gate();
    let panicked = std::panic::catch_unwind(|| reject(&gate, "panic"));
    assert!(panicked.is_err(), "the gate catches it");
    reject(&gate, "a");
    assert_eq!((gate.counts().rejected(), read(&gate).len()), (2, 1));
}
