//! Measures the cost of an event on the path of a request: `cargo run --release -p plimsoll-metrics
//! --example cost`.
//!
//! `cost <event> <n>` records one of `accept`, `queue`, `reject` `n` times and prints nothing. Two
//! runs under `valgrind --tool=callgrind` with different `n` give the instructions per event.
#![allow(
    clippy::print_stdout,
    reason = "the output of this program is its result"
)]

use std::{hint::black_box, time::Duration};

use plimsoll_core::{Class, Kind, Observe, Outcome, Rejected, Rejection, policy::End};
use plimsoll_metrics::{GateMetrics, Metrics};
use tokio::time::Instant;

const EVENTS: u32 = 20_000_000;

fn main() {
    let gate = &Metrics::new().gate("edge");

    let mut arguments = std::env::args().skip(1);
    if let (Some(event), Some(n)) = (arguments.next(), arguments.next()) {
        repeat(gate, &event, n.parse().unwrap_or(0));
        return;
    }
    for threads in [1, 2] {
        for event in ["accept", "queue", "reject"] {
            let start = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| repeat(gate, event, EVENTS));
                }
            });
            let each = start.elapsed().as_secs_f64() * 1e9 / f64::from(EVENTS);
            println!("{threads} thread(s): {each:6.1} ns per {event}");
        }
    }
    scrape();
}

/// Records an event `n` times; `accept` and `queue` are an admission and its end.
fn repeat(gate: &GateMetrics, event: &str, n: u32) {
    // Rare events are behind a pointer, as in a gate.
    let observer: &dyn Observe = gate;
    let Some(recorder) = gate.recorder() else {
        return;
    };
    let ok = Outcome::new(Class::Success, Duration::from_micros(830), Instant::now());
    let rejection = Rejection::new("rate-limit", Kind::OverQuota);
    let rejected = Rejected::new(&rejection, None);
    let waited = if event == "queue" {
        Duration::from_micros(70)
    } else {
        Duration::ZERO
    };
    if event == "reject" {
        for _ in 0..n {
            observer.rejected("edge", black_box(&rejected));
        }
    } else {
        for _ in 0..n {
            // As a gate does: the short form first.
            if !waited.is_zero() || !recorder.owned().admit_quickly() {
                observer.admitted("edge", black_box(waited));
            }
            let (end, head) = (End::from(Class::Success), ok.latency_nanos());
            if !recorder
                .owned()
                .end_quickly(black_box(end), black_box(head))
            {
                observer.finished("edge", black_box(&ok));
            }
        }
    }
}

fn scrape() {
    let metrics = Metrics::new();
    for gate in 0..10 {
        _ = metrics.gate(format!("gate-{gate}"));
    }
    let start = Instant::now();
    for _ in 0..100 {
        black_box(metrics.prometheus());
    }
    let (each, size) = (start.elapsed() / 100, metrics.prometheus().body().len());
    println!("{each:?} per scrape of ten gates ({size} bytes)");
}
