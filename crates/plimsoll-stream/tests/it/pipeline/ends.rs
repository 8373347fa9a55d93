//! How pipelines end: by errors, panics, drains and aborts.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::Poll,
};

use futures_util::{StreamExt, sink, stream};
use plimsoll_stream::{Pipeline, PipelineEnd, PipelineError, Stage};
use tokio::time::{sleep, timeout};

use super::{MS, Never, counted, done};
use crate::Task;

#[tokio::test]
async fn an_error_of_a_stage_names_it() {
    let run = Pipeline::from(stream::iter(["1", "x", "3"]))
        .stage(
            "parse",
            Stage::new(|word: &str| async move { word.parse::<u32>() }),
        )
        .for_each(|_| done())
        .unwrap();
    let handle = run.handle();
    let error = run.await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "stage `parse` failed: invalid digit found in string"
    );
    assert_eq!(
        (error.stage(), error.discarded()),
        ("parse", 2),
        "1 was on its way"
    );
    assert_eq!(handle.stage("parse").unwrap().failed, 1);
    assert_eq!(handle.discarded(), 2);
}

#[tokio::test]
async fn a_panic_anywhere_names_its_stage() {
    let panics = |at: &'static str, when: &'static str| {
        assert!(at != when, "a faulty {at}");
    };
    for faulty in ["source", "call", "poll", "output", "sink"] {
        let source = stream::iter(0..10).inspect(move |n| {
            if *n == 5 {
                panics("source", faulty);
            }
        });
        let run = Pipeline::from(source)
            .stage(
                "stage",
                Stage::flat_map(move |n: u32| {
                    panics("call", faulty);
                    async move {
                        tokio::task::yield_now().await;
                        panics("poll", faulty);
                        Ok::<_, Never>([n].into_iter().inspect(move |_| panics("output", faulty)))
                    }
                }),
            )
            .for_each(|_| {
                panics("sink", faulty);
                done()
            });
        let error = run.unwrap().await.unwrap_err();
        let stage = match faulty {
            "source" | "sink" => faulty,
            _ => "stage",
        };
        assert!(matches!(error, PipelineError::Panicked { .. }));
        let expected = format!("stage `{stage}` panicked: a faulty {faulty}");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn an_error_of_the_sink_names_it() {
    let faulty = sink::unfold((), |(), n: u32| async move {
        if n < 3 { Ok(()) } else { Err("full disk") }
    });
    let run = Pipeline::from(stream::iter(0..10)).run(faulty);
    let error = run.unwrap().await.unwrap_err();
    assert_eq!(error.to_string(), "stage `sink` failed: full disk");
    let run = Pipeline::from(stream::iter(0..10)).for_each(|_| async { Err("full disk") });
    assert_eq!(run.unwrap().await.unwrap_err().stage(), "sink");
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_what_the_source_has_yielded() {
    let taken = Arc::new(AtomicUsize::new(0));
    let mut seen = Vec::new();
    let run = Pipeline::from(counted(&taken))
        .stage(
            "slow",
            Stage::new(|n: usize| async move {
                sleep(MS).await;
                Ok::<_, Never>(n)
            })
            .buffer(8),
        )
        .for_each(|n| {
            seen.push(n);
            done()
        })
        .unwrap();
    let handle = run.handle();
    let (end, ()) = tokio::join!(run, async {
        sleep(MS * 20).await;
        handle.drain();
        handle.drain();
    });
    assert_eq!(end.unwrap(), PipelineEnd::Drained);
    let taken = taken.load(SeqCst);
    assert!((20..40).contains(&taken), "{taken}");
    assert!(seen.into_iter().eq(0..taken), "nothing is lost");
    assert_eq!(handle.discarded(), 0);
}

#[tokio::test]
async fn a_drain_stops_a_source_that_has_no_items() {
    let run = Pipeline::from(stream::pending::<u32>())
        .for_each(|_| done())
        .unwrap();
    let handle = run.handle();
    let mut run = Task::new(run);
    assert!(run.poll().is_pending());
    handle.drain();
    assert_eq!(run.woken(), 1);
    assert!(matches!(run.poll(), Poll::Ready(Ok(PipelineEnd::Drained))));
    assert!(run.poll().is_pending(), "once");
}

#[tokio::test]
async fn an_abort_stops_at_once_and_counts_what_it_throws_away() {
    let taken = Arc::new(AtomicUsize::new(0));
    let held = Arc::new(());
    let guard = Arc::clone(&held);
    let run = Pipeline::from(counted(&taken))
        .stage(
            "stuck",
            Stage::new(move |_: usize| {
                let guard = Arc::clone(&guard);
                async move {
                    pending::<()>().await;
                    drop(guard);
                    Ok::<_, Never>(())
                }
            })
            .concurrency(4)
            .buffer(8),
        )
        .for_each(|()| done())
        .unwrap();
    let handle = run.handle();
    let mut run = Task::new(run);
    for _ in 0..5 {
        assert!(run.poll().is_pending());
    }
    assert_eq!(Arc::strong_count(&held), 6, "four in flight");
    let woken = run.woken();
    handle.abort();
    assert_eq!(run.woken(), woken + 1);
    let expected = PipelineEnd::Aborted { discarded: 12 };
    assert!(matches!(run.poll(), Poll::Ready(Ok(end)) if end == expected));
    assert_eq!(
        Arc::strong_count(&held),
        1,
        "futures and functions are dropped"
    );
    assert_eq!((handle.discarded(), taken.load(SeqCst)), (12, 12));
}

#[tokio::test]
async fn an_abort_ends_a_drain_that_takes_too_long() {
    let run = Pipeline::from(stream::iter(0..3))
        .for_each(|_| pending::<Result<(), Never>>())
        .unwrap();
    let handle = run.handle();
    let mut run = Task::new(run);
    assert!(run.poll().is_pending());
    handle.drain();
    assert!(run.poll().is_pending());
    handle.abort();
    let expected = PipelineEnd::Aborted { discarded: 3 };
    assert!(matches!(run.poll(), Poll::Ready(Ok(end)) if end == expected));
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_is_dropped_counts_what_it_drops() {
    let run = Pipeline::from(stream::iter(0..3))
        .stage("stuck", Stage::new(|_: u32| pending::<Result<(), Never>>()))
        .for_each(|()| done())
        .unwrap();
    let handle = run.handle();
    assert!(timeout(MS, run).await.is_err());
    assert_eq!(handle.discarded(), 3);
}

#[tokio::test]
async fn a_destructor_that_panics_does_not_stop_an_abort() {
    struct Faulty;
    impl Drop for Faulty {
        fn drop(&mut self) {
            panic!("a faulty destructor");
        }
    }
    let run = Pipeline::from(stream::repeat_with(|| Faulty).take(2))
        .for_each(|faulty| async move {
            std::mem::forget(faulty);
            pending::<Result<(), Never>>().await
        })
        .unwrap();
    let handle = run.handle();
    let mut run = Task::new(run);
    assert!(run.poll().is_pending());
    handle.abort();
    let expected = PipelineEnd::Aborted { discarded: 2 };
    assert!(matches!(run.poll(), Poll::Ready(Ok(end)) if end == expected));
}
