//! Recorders of one request each: an admission, an end, and a latency.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use benches::driver::{Apart, Driver, End, Tally};
use hdrhistogram::Histogram;
use opentelemetry::{KeyValue, metrics::MeterProvider as _};
use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use plimsoll_core::{Class, Observe, Outcome, policy::End as Ended, support};
use plimsoll_metrics::Metrics;
use tokio::time::Instant;

use crate::layers::RECORDER;

/// Latencies in nanoseconds: 64 values from 0.1 ms to 6.4 ms, so that a branch or a cache line is
/// not the same each time.
fn latency(call: u64) -> u64 {
    100_000 * (1 + call % 64)
}

/// The recorders, each with a driver for each of two threads.
pub(super) fn all() -> Vec<(&'static str, Vec<Driver>)> {
    vec![
        (
            "an empty loop",
            drivers(|| {
                |call| {
                    black_box(latency(call));
                }
            }),
        ),
        ("plimsoll-metrics, as a gate counts", plimsoll()),
        ("plimsoll-metrics, every event in full", plimsoll_in_full()),
        ("shards by thread, with locked additions", locked()),
        ("hdrhistogram's recorders, the latency only", synchronized()),
        ("metrics + exporter, handles held", handles()),
        ("metrics + exporter, macros", macros()),
        (
            "opentelemetry SDK, counters and a histogram",
            opentelemetry(),
        ),
    ]
}

/// Two drivers, each with what `make` makes for it.
fn drivers<F: FnMut(u64) + Send + 'static>(make: impl Fn() -> F) -> Vec<Driver> {
    let driver = |record: F| -> Driver {
        let mut own = Apart(record);
        Box::new(move |calls| {
            let Apart(record) = &mut own;
            let mut tally = Tally::default();
            for call in 0..calls {
                record(call);
                tally.count(End::Accepted);
            }
            tally
        })
    };
    vec![driver(make()), driver(make())]
}

/// Two drivers that count in one gate.
pub(super) fn plimsoll() -> Vec<Driver> {
    let gate = Metrics::new().gate("edge");
    drivers(|| {
        let (gate, recorder) = (gate.clone(), gate.recorder());
        let now = Instant::now();
        move |call| {
            let Some(recorder) = &recorder else { return };
            if !recorder.owned().admit_quickly() {
                recorder.admit();
            }
            let end = black_box(Ended::from(Class::Success));
            if !recorder.owned().end_quickly(end, latency(call)) {
                let latency = Duration::from_nanos(latency(call));
                gate.finished("edge", &Outcome::new(Class::Success, latency, now));
            }
        }
    })
}

fn plimsoll_in_full() -> Vec<Driver> {
    let gate: Arc<dyn Observe> = Arc::new(Metrics::new().gate("edge").every_permit());
    drivers(|| {
        let gate = Arc::clone(&gate);
        let now = Instant::now();
        move |call| {
            gate.admitted(black_box("edge"), Duration::ZERO);
            let latency = Duration::from_nanos(latency(call));
            gate.finished("edge", &Outcome::new(Class::Success, latency, now));
        }
    })
}

/// The same counts with `fetch_add`, on shards by the number of the thread.
fn locked() -> Vec<Driver> {
    #[repr(align(128))]
    struct Shard {
        admitted: AtomicU64,
        finished: AtomicU64,
        nanos: AtomicU64,
        buckets: Vec<AtomicU64>,
    }
    let shard = |_| Shard {
        admitted: AtomicU64::new(0),
        finished: AtomicU64::new(0),
        nanos: AtomicU64::new(0),
        buckets: (0..3840).map(|_| AtomicU64::new(0)).collect(),
    };
    let shards: Arc<[Shard]> = (0..support::shards()).map(shard).collect();
    drivers(|| {
        let shards = Arc::clone(&shards);
        move |call| {
            let own = || &shards[support::shard() % shards.len()];
            own().admitted.fetch_add(1, Relaxed);
            let (own, nanos) = (own(), latency(call));
            let shift = 52_u32.saturating_sub((nanos | 1 << 11).leading_zeros());
            let bucket = ((shift << 7) as usize) + (nanos >> (shift + 4)) as usize;
            if let Some(count) = own.buckets.get(bucket) {
                count.fetch_add(1, Relaxed);
            }
            own.nanos.fetch_add(nanos, Relaxed);
            own.finished.fetch_add(1, Relaxed);
        }
    })
}

fn synchronized() -> Vec<Driver> {
    let histogram = Histogram::<u64>::new_with_bounds(16, (1 << 40) - 1, 2);
    let histogram = histogram.expect("valid bounds").into_sync();
    drivers(|| {
        let mut recorder = histogram.recorder();
        move |call| recorder.saturating_record(latency(call))
    })
}

fn handles() -> Vec<Driver> {
    _ = RECORDER.render();
    let labels = [("gate", "edge")];
    drivers(|| {
        let admitted = metrics::counter!("held_admitted_total", &labels);
        let finished = metrics::counter!("held_finished_total", &labels);
        let seconds = metrics::histogram!("held_latency_seconds", &labels);
        move |call| {
            admitted.increment(1);
            finished.increment(1);
            seconds.record(latency(call) as f64 / 1e9);
            upkeep(call);
        }
    })
}

fn macros() -> Vec<Driver> {
    _ = RECORDER.render();
    drivers(|| {
        |call| {
            metrics::counter!("admitted_total", "gate" => "edge").increment(1);
            metrics::counter!("finished_total", "gate" => "edge", "class" => "success")
                .increment(1);
            metrics::histogram!("latency_seconds", "gate" => "edge")
                .record(latency(call) as f64 / 1e9);
            upkeep(call);
        }
    })
}

/// The exporter keeps every value of a histogram until its upkeep, which is due every five seconds.
/// Here after as many calls as a thousand requests per millisecond make in that time.
fn upkeep(call: u64) {
    if call % 5_000_000 == 4_999_999 {
        RECORDER.run_upkeep();
    }
}

fn opentelemetry() -> Vec<Driver> {
    let reader = ManualReader::builder().build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = provider.meter("bench");
    drivers(|| {
        let provider = provider.clone();
        let admitted = meter.u64_counter("admitted").build();
        let finished = meter.u64_counter("finished").build();
        let seconds = meter.f64_histogram("latency").build();
        let gate = [KeyValue::new("gate", "edge")];
        let ended = [
            KeyValue::new("gate", "edge"),
            KeyValue::new("class", "success"),
        ];
        move |call| {
            _ = &provider;
            admitted.add(1, &gate);
            finished.add(1, &ended);
            seconds.record(latency(call) as f64 / 1e9, &gate);
        }
    })
}
