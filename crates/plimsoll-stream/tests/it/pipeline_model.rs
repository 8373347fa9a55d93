//! Pipelines of random shape that end in random ways: no item is lost or counted twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use plimsoll_stream::{Pipeline, PipelineEnd, PipelineError, PipelineHandle, Stage};
use proptest::prelude::*;
use tokio::time::{advance, sleep, timeout};

#[derive(Debug, Clone)]
struct Shape {
    concurrency: usize,
    ordered: bool,
    buffer: usize,
    /// Milliseconds that items take, in turn.
    times: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ending {
    Source,
    DrainAt(u64),
    AbortAt(u64),
    DropAt(u64),
    /// At this item of the stage.
    Error(usize, u64),
    Panic(usize, u64),
}

fn shape() -> impl Strategy<Value = Shape> {
    let times = prop::collection::vec(0_u64..5, 1..6);
    (1_usize..5, any::<bool>(), 1_usize..5, times).prop_map(
        |(concurrency, ordered, buffer, times)| Shape {
            concurrency,
            ordered,
            buffer,
            times,
        },
    )
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        Just(Ending::Source),
        (0_u64..40).prop_map(Ending::DrainAt),
        (0_u64..40).prop_map(Ending::AbortAt),
        (0_u64..40).prop_map(Ending::DropAt),
        (0_usize..3, 0_u64..30).prop_map(|(stage, item)| Ending::Error(stage, item)),
        (0_usize..3, 0_u64..30).prop_map(|(stage, item)| Ending::Panic(stage, item)),
    ]
}

/// An item that is counted while it lives.
struct Item {
    id: u64,
    live: Arc<Live>,
}

#[derive(Default)]
struct Live {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Item {
    fn new(id: u64, live: &Arc<Live>) -> Self {
        let now = live.now.fetch_add(1, SeqCst) + 1;
        live.most.fetch_max(now, SeqCst);
        let live = Arc::clone(live);
        Self { id, live }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.live.now.fetch_sub(1, SeqCst);
    }
}

const NAMES: [&str; 3] = ["first", "second", "third"];

fn stage(index: usize, shape: &Shape, ending: Ending) -> Stage<'static, Item, Item> {
    let (times, mut calls) = (shape.times.clone(), 0);
    let stage = Stage::new(move |item: Item| {
        let time = times[calls % times.len()];
        calls += 1;
        async move {
            if time > 0 {
                sleep(Duration::from_millis(time)).await;
            }
            if ending == Ending::Panic(index, item.id) {
                // Without the panic hook, which would print each of them.
                std::panic::resume_unwind(Box::new("at random"));
            }
            if ending == Ending::Error(index, item.id) {
                return Err("at random");
            }
            Ok(item)
        }
    });
    let stage = stage.concurrency(shape.concurrency).buffer(shape.buffer);
    if shape.ordered {
        stage
    } else {
        stage.unordered()
    }
}

/// What a pipeline did.
struct Outcome {
    end: Option<Result<PipelineEnd, PipelineError>>,
    handle: PipelineHandle,
    seen: Vec<u64>,
    live: Arc<Live>,
}

async fn run(shapes: &[Shape; 3], items: u64, sink: (usize, u64), ending: Ending) -> Outcome {
    let live = Arc::new(Live::default());
    let making = Arc::clone(&live);
    let source = stream::iter(0..items).map(move |id| Item::new(id, &making));
    let mut seen = Vec::new();
    let run = Pipeline::from(source)
        .stage(NAMES[0], stage(0, &shapes[0], ending))
        .stage(NAMES[1], stage(1, &shapes[1], ending))
        .stage(NAMES[2], stage(2, &shapes[2], ending))
        .sink_buffer(sink.0)
        .for_each(|item| {
            seen.push(item.id);
            async move {
                sleep(Duration::from_millis(sink.1)).await;
                drop(item);
                Ok::<_, &str>(())
            }
        })
        .unwrap();
    let handle = run.handle();
    let end = match ending {
        Ending::DropAt(at) => timeout(Duration::from_millis(at), run).await.ok(),
        Ending::DrainAt(at) | Ending::AbortAt(at) => {
            let stop = async {
                advance(Duration::from_millis(at)).await;
                match ending {
                    Ending::DrainAt(_) => handle.drain(),
                    _ => handle.abort(),
                }
            };
            Some(tokio::join!(run, stop).0)
        }
        _ => Some(run.await),
    };
    Outcome {
        end,
        handle,
        seen,
        live,
    }
}

fn check(shapes: &[Shape; 3], items: u64, sink_buffer: usize, ending: Ending, outcome: &Outcome) {
    let Outcome {
        end,
        handle,
        seen,
        live,
    } = outcome;
    let stages = handle.stages();
    let (source, sink) = (stages[0], stages[4]);
    // Where each item went.
    let failed: u64 = stages.iter().map(|stage| stage.failed).sum();
    assert_eq!(source.sent, sink.sent + handle.discarded() + failed);
    for pair in stages.windows(2) {
        assert!(pair[1].received <= pair[0].sent);
        assert_eq!((pair[1].queued, pair[1].in_flight), (0, 0));
    }
    assert_eq!(live.now.load(SeqCst), 0, "each item was dropped");
    let places: usize = shapes
        .iter()
        .map(|shape| shape.concurrency + shape.buffer)
        .sum();
    let most = live.most.load(SeqCst);
    assert!(most <= places + sink_buffer + 1, "{most} items at a time");
    // The order.
    if shapes
        .iter()
        .all(|shape| shape.ordered || shape.concurrency == 1)
    {
        assert!(seen.iter().copied().eq(0..seen.len() as u64));
    }
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), seen.len(), "an item came twice");
    // The end.
    match end {
        Some(Ok(PipelineEnd::Completed)) => {
            assert_eq!((sink.sent, source.sent), (items, items));
        }
        Some(Ok(PipelineEnd::Drained)) => {
            assert!(matches!(ending, Ending::DrainAt(_)));
            assert_eq!(sink.sent, source.sent);
        }
        Some(Ok(PipelineEnd::Aborted { discarded })) => {
            assert!(matches!(ending, Ending::AbortAt(_)));
            assert_eq!(*discarded, handle.discarded());
        }
        Some(Err(error)) => {
            assert!(
                matches!(ending, Ending::Error(stage, _) | Ending::Panic(stage, _)
                if NAMES[stage] == error.stage())
            );
            assert_eq!((failed, error.discarded()), (1, handle.discarded()));
        }
        None => assert!(matches!(ending, Ending::DropAt(_))),
        Some(Ok(other)) => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn each_item_is_done_or_counted_however_a_pipeline_ends(
        shapes in [shape(), shape(), shape()],
        items in 0_u64..40,
        sink in (1_usize..5, 0_u64..4),
        ending in ending(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let outcome = runtime.block_on(run(&shapes, items, sink, ending));
        check(&shapes, items, sink.0, ending, &outcome);
    }
}
