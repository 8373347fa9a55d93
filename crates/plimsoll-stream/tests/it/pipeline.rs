//! Stages joined by bounded buffers.

mod ends;

use std::{
    future::{Ready, pending, ready},
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use futures_util::{FutureExt, SinkExt, StreamExt, sink, stream};
use plimsoll_stream::{BoundedQueue, Pipeline, PipelineEnd, QueuePolicy, Stage, StageMetrics};
use tokio::time::{Instant, sleep};

use crate::Task;

const MS: Duration = Duration::from_millis(1);

type Never = io::Error;

/// Yields a number after as many milliseconds.
async fn wait(ms: u64) -> Result<u64, Never> {
    sleep(Duration::from_millis(ms)).await;
    Ok(ms)
}

fn done() -> Ready<Result<(), Never>> {
    ready(Ok(()))
}

#[tokio::test(start_paused = true)]
async fn an_ordered_stage_keeps_the_order_and_an_unordered_one_does_not() {
    // The place of 10 is free at 10, so 1 is done at 11; in order, it is free only at 30.
    for (ordered, expected, took) in [(true, [30, 10, 20, 1], 31), (false, [10, 1, 20, 30], 30)] {
        let stage = Stage::new(wait).concurrency(3);
        let stage = if ordered { stage } else { stage.unordered() };
        let (mut seen, start) = (Vec::new(), Instant::now());
        let run = Pipeline::from(stream::iter([30, 10, 20, 1]))
            .stage("wait", stage)
            .for_each(|ms| {
                seen.push(ms);
                done()
            });
        assert_eq!(run.unwrap().await.unwrap(), PipelineEnd::Completed);
        assert_eq!(
            (seen.as_slice(), start.elapsed()),
            (expected.as_slice(), MS * took)
        );
    }
}

#[tokio::test]
async fn stages_have_defaults() {
    let stage = Stage::map(|n: u32| n);
    let run = Pipeline::from(stream::iter([1]))
        .stage("only", stage)
        .for_each(|_| done());
    let handle = run.unwrap().handle();
    let only = handle.stage("only").unwrap();
    assert_eq!(
        (only.concurrency, only.ordered, only.capacity),
        (1, true, 64)
    );
    assert_eq!(handle.stage("sink").unwrap().capacity, 64);
    assert!(handle.stage("none").is_none());
}

/// A source that counts how many items were taken.
fn counted(taken: &Arc<AtomicUsize>) -> impl futures_core::Stream<Item = usize> + use<> {
    let taken = Arc::clone(taken);
    stream::poll_fn(move |_| Poll::Ready(Some(taken.fetch_add(1, SeqCst))))
}

#[tokio::test]
async fn pressure_from_the_sink_reaches_the_source() {
    let taken = Arc::new(AtomicUsize::new(0));
    let run = Pipeline::from(counted(&taken))
        .stage("one", Stage::map(|n| n).buffer(3).concurrency(2))
        .stage("two", Stage::map(|n| n).buffer(5))
        .sink_buffer(7)
        .for_each(|_| pending::<Result<(), Never>>());
    let mut run = Task::new(run.unwrap());
    let mut polls = 0;
    while run.woken() >= polls {
        assert!(run.poll().is_pending());
        polls += 1;
    }
    // All buffers, all places in the stages, and the one in the sink.
    assert_eq!(taken.load(SeqCst), 3 + 2 + 5 + 1 + 7 + 1);
}

#[tokio::test]
async fn the_source_is_polled_only_when_the_first_buffer_has_room() {
    let queue = BoundedQueue::new(100, QueuePolicy::BLOCK).unwrap();
    for n in 0..10 {
        queue.send(n).await.unwrap();
    }
    let run = Pipeline::from(queue.items())
        .sink_buffer(4)
        .for_each(|_| pending::<Result<(), Never>>());
    let mut run = Task::new(run.unwrap());
    for _ in 0..5 {
        assert!(run.poll().is_pending());
    }
    assert_eq!(queue.len(), 10 - 4 - 1);
    drop(run);
    assert_eq!(queue.len(), 5, "what was not taken stays");
}

#[tokio::test]
async fn metrics_show_where_items_are() {
    let run = Pipeline::from(stream::iter(0..100))
        .stage(
            "half",
            Stage::flat_map(|n: u32| async move { Ok::<_, Never>((n % 2 == 0).then_some(n)) }),
        )
        .stage(
            "stuck",
            Stage::new(|n: u32| async move {
                if n < 10 {
                    Ok::<_, Never>(n)
                } else {
                    pending().await
                }
            })
            .concurrency(2)
            .buffer(8),
        )
        .for_each(|_: u32| done());
    let run: plimsoll_stream::PipelineRun<'_> = run.unwrap();
    let handle = run.handle();
    let mut run = Task::new(run);
    for _ in 0..20 {
        assert!(run.poll().is_pending());
    }
    let of = |stage: StageMetrics| (stage.received, stage.sent, stage.in_flight, stage.queued);
    let [source, half, stuck, end] = handle.stages().try_into().expect("four stages");
    assert_eq!(of(stuck), (7, 5, 2, 8));
    assert_eq!(of(end), (5, 5, 0, 0));
    assert_eq!(half.sent, 15);
    assert_eq!(source.sent, half.received + half.queued);
    drop(run);
    assert_eq!(
        handle.discarded(),
        source.sent - half.received + half.in_flight + 10
    );
    assert_eq!(of(handle.stage("stuck").unwrap()), (7, 5, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn busy_time_is_the_time_of_the_function() {
    let run = Pipeline::from(stream::iter([10, 20, 30]))
        .stage("fast", Stage::new(wait).concurrency(3))
        .for_each(|_| async { wait(100).await.map(drop) })
        .unwrap();
    let handle = run.handle();
    run.await.unwrap();
    assert_eq!(
        handle.stage("fast").unwrap().busy,
        MS * 60,
        "not the wait for the sink"
    );
    assert_eq!(handle.stage("sink").unwrap().busy, MS * 300);
}

#[tokio::test]
async fn a_fold_yields_what_is_left_at_the_end() {
    let mut seen = Vec::new();
    let run = Pipeline::from(stream::iter(1..=10))
        .stage(
            "sum",
            Stage::fold(
                Vec::new(),
                |batch: &mut Vec<u32>, n: u32| {
                    batch.push(n);
                    Ok::<_, Never>((batch.len() == 4).then(|| std::mem::take(batch)))
                },
                |rest| Ok(Some(rest)),
            ),
        )
        .for_each(|batch| {
            seen.push(batch);
            done()
        });
    run.unwrap().await.unwrap();
    assert_eq!(seen, [vec![1, 2, 3, 4], vec![5, 6, 7, 8], vec![9, 10]]);
}

#[tokio::test]
async fn an_item_may_have_many_outputs() {
    let mut seen = Vec::new();
    let run = Pipeline::from(stream::iter([2, 0, 3]))
        .stage(
            "repeat",
            Stage::flat_map(|n: usize| async move { Ok::<_, Never>(vec![n; n]) }),
        )
        .sink_buffer(1)
        .for_each(|n| {
            seen.push(n);
            done()
        });
    run.unwrap().await.unwrap();
    assert_eq!(seen, [2, 2, 3, 3, 3]);
}

#[tokio::test]
async fn a_sink_gets_the_items_and_is_closed() {
    let queue = BoundedQueue::new(100, QueuePolicy::BLOCK).unwrap();
    let run = Pipeline::from(stream::iter(0..10))
        .stage("double", Stage::map(|n: u32| n * 2))
        .run(queue.sink());
    let run = run.unwrap();
    let handle = run.handle();
    assert_eq!(run.await.unwrap(), PipelineEnd::Completed);
    assert!(queue.is_closed());
    assert!(queue.drain().into_iter().eq((0..10).map(|n| n * 2)));
    let end = handle.stage("sink").unwrap();
    assert_eq!((end.received, end.sent, end.in_flight), (10, 10, 0));
}

/// One wake of one of a hundred futures polls that one.
#[tokio::test]
async fn only_futures_that_were_woken_are_polled() {
    let queues: Vec<_> = (0..100)
        .map(|_| BoundedQueue::<u32>::new(1, QueuePolicy::BLOCK).unwrap())
        .collect();
    let polls = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&polls);
    let run = Pipeline::from(stream::iter(queues.clone()))
        .stage(
            "recv",
            Stage::new(move |queue: BoundedQueue<u32>| {
                let polls = Arc::clone(&counting);
                async move {
                    let mut items = queue.items();
                    let item = std::future::poll_fn(|cx| {
                        polls.fetch_add(1, SeqCst);
                        items.poll_next_unpin(cx)
                    });
                    item.await.ok_or("closed")
                }
            })
            .concurrency(100)
            .unordered(),
        )
        .for_each(|_| done());
    let mut run = Task::new(run.unwrap());
    while polls.load(SeqCst) < 100 {
        assert!(run.poll().is_pending());
    }
    for (n, queue) in queues.iter().enumerate() {
        // The futures of queues use the budget of this one task, which a yield renews.
        tokio::task::yield_now().await;
        let woken = run.woken();
        queue.send(1).await.unwrap();
        assert_eq!(run.woken(), woken + 1);
        let polled = run.poll();
        assert_eq!(polls.load(SeqCst), 101 + n);
        assert_eq!(polled.is_ready(), n == 99);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_may_spawn_to_use_more_cores() {
    let run = Pipeline::from(stream::iter(0..1_000_u64))
        .stage(
            "hash",
            Stage::new(|n: u64| tokio::spawn(async move { n * n })).concurrency(8),
        )
        .run(sink::drain().sink_map_err(|never| match never {} as Never));
    let run = run.unwrap();
    let handle = run.handle();
    assert_eq!(
        tokio::spawn(run).await.unwrap().unwrap(),
        PipelineEnd::Completed
    );
    assert_eq!(handle.stage("sink").unwrap().sent, 1_000);
}

#[test]
fn settings_out_of_bounds_name_stage_field_and_bound() {
    let stage = || Stage::map(|n: u32| n);
    let error = |name, stage| {
        let pipeline = Pipeline::from(stream::iter([1])).stage("first", identity());
        let run = pipeline.stage(name, stage).for_each(|_| done());
        run.unwrap_err().to_string()
    };
    assert_eq!(
        error("parse", stage().buffer(0)),
        "buffer of stage `parse` must be at least 1 item, got 0"
    );
    assert_eq!(
        error("parse", stage().concurrency(0)),
        "concurrency of stage `parse` must be at least 1 item, got 0"
    );
    for name in ["", "source", "sink", "first"] {
        let expected = format!(
            "name of a stage must be unique, not empty, not `source` and not `sink`, got `{name}`"
        );
        assert_eq!(error(name, stage()), expected);
    }
    let run = Pipeline::from(stream::iter([1]))
        .sink_buffer(0)
        .for_each(|_| done());
    assert_eq!(
        run.unwrap_err().to_string(),
        "buffer of stage `sink` must be at least 1 item, got 0"
    );
    let run = Pipeline::from(stream::iter([1]))
        .stage("fine", stage())
        .for_each(|_| done());
    assert!(run.unwrap().now_or_never().is_some());
}

fn identity() -> Stage<'static, u32, u32> {
    Stage::map(|n| n)
}
