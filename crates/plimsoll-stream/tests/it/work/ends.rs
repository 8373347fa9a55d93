//! Jobs and queues that end early.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use axum::response::IntoResponse as _;
use http::StatusCode;
use plimsoll_stream::work::{Job, WorkError, WorkQueue};
use tokio::time::timeout;

use super::{blocker, idle, one_worker, settle, started};

#[tokio::test]
async fn a_handler_that_hangs_up_while_its_job_waits_frees_its_place() {
    let work = WorkQueue::builder(2)
        .workers(1)
        .max_bytes(100)
        .build()
        .unwrap();
    let (job, release) = blocker();
    let running = started(&work, job).await;
    let payload = Arc::new(());
    let held = |weight| {
        let payload = Arc::clone(&payload);
        Job::future(async move { drop(payload) }).weight(weight)
    };
    let first = started(&work, held(40)).await;
    let second = started(&work, held(60)).await;
    assert!(!work.has_room(0));
    assert!(matches!(work.submit(held(1)), Err(WorkError::Full(_))));
    assert_eq!(Arc::strong_count(&payload), 3);

    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(Arc::strong_count(&payload), 2, "the job's memory is free");
    assert_eq!(
        (work.waiting(), work.waiting_bytes(), work.hung_up()),
        (1, 60, 1)
    );
    assert!(work.has_room(40) && !work.has_room(41));
    assert!(matches!(work.submit(held(41)), Err(WorkError::Full(_))));
    work.submit(held(40)).unwrap();
    assert_eq!((work.waiting(), work.waiting_bytes()), (2, 100));

    release.notify_one();
    running.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    work.shutdown().await;
    assert_eq!(
        (work.accepted(), work.completed(), work.hung_up()),
        (4, 3, 1)
    );
    assert_eq!((work.waiting(), Arc::strong_count(&payload)), (0, 1));
}

#[tokio::test]
async fn a_started_job_goes_on_when_its_handler_hangs_up() {
    let work = one_worker(2);
    let (job, release) = blocker();
    let handler = started(&work, job).await;
    handler.abort();
    settle().await;
    assert_eq!((work.running(), work.hung_up()), (1, 0));
    release.notify_one();
    work.shutdown().await;
    assert_eq!(work.completed(), 1);
}

#[tokio::test]
async fn a_panic_gives_an_error_and_its_worker_goes_on() {
    let work = one_worker(4);
    let blocking: Job<()> = Job::blocking(|| panic!("in a thread"));
    let future: Job<()> = Job::future(async { panic!("in the task") });
    let (blocking, future) = (work.run(blocking).await, work.run(future).await);
    assert_eq!(
        (blocking, future),
        (Err(WorkError::Panicked), Err(WorkError::Panicked))
    );
    assert_eq!(work.run(|| 6 * 7).await, Ok(42));
    idle(&work).await;
    assert_eq!(
        (work.panicked(), work.completed(), work.accepted()),
        (2, 1, 3)
    );
    let response = WorkError::Panicked.into_response();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn shutdown_finishes_accepted_jobs_and_rejects_new_ones() {
    let work = one_worker(4);
    let (job, release) = blocker();
    let running = started(&work, job).await;
    let done = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let done = Arc::clone(&done);
        work.submit(move || done.fetch_add(1, SeqCst)).unwrap();
    }
    let queue = work.clone();
    let shutdown = tokio::spawn(async move { queue.shutdown().await });
    settle().await;
    assert!(work.is_closed() && !shutdown.is_finished() && !work.has_room(0));
    assert!(matches!(work.run(|| ()).await, Err(WorkError::Closed(_))));
    release.notify_one();
    shutdown.await.unwrap();
    assert_eq!(running.await.unwrap(), Ok("blocker"));
    assert_eq!(done.load(SeqCst), 3);
    work.shutdown().await;
    assert_eq!((work.accepted(), work.completed()), (4, 4));
}

#[tokio::test]
async fn abort_drops_queued_jobs_and_running_futures() {
    let work = one_worker(4);
    let running = started(&work, Job::future(pending::<()>())).await;
    let queued = started(&work, Job::future(async {})).await;
    work.abort();
    assert!(matches!(queued.await.unwrap(), Err(WorkError::Closed(_))));
    assert_eq!(running.await.unwrap(), Err(WorkError::Aborted));
    timeout(Duration::from_secs(10), work.shutdown())
        .await
        .expect("all workers have ended");
    assert_eq!((work.running(), work.waiting()), (0, 0));
    let response = WorkError::Aborted.into_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        !response.headers().contains_key("plimsoll-rejected-by"),
        "something ran"
    );
}

#[tokio::test]
async fn an_abort_before_the_workers_first_poll_ends_them_too() {
    let work = one_worker(4);
    work.abort();
    timeout(Duration::from_secs(10), work.shutdown())
        .await
        .expect("all workers have ended");
}

#[tokio::test]
async fn accepted_jobs_are_finished_when_the_last_clone_is_dropped() {
    let work = one_worker(4);
    let (sender, receiver) = mpsc::channel();
    for n in 0..3 {
        let sender = sender.clone();
        work.submit(move || sender.send(n)).unwrap();
    }
    drop((work, sender));
    let received = tokio::task::spawn_blocking(move || receiver.iter().collect::<Vec<_>>());
    assert_eq!(received.await.unwrap(), [0, 1, 2]);
}
