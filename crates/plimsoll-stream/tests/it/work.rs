//! The bounded queue of work for handlers.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, response::IntoResponse as _, routing::post};
use http::{Request, StatusCode};
use plimsoll_core::{Criticality, GateLayer, LoadSignal as _, Priority};
use plimsoll_load_shed::LoadShed;
use plimsoll_stream::{
    QueuePolicy,
    work::{HasRoom, Job, WorkError, WorkQueue},
};
use proptest::prelude::*;
use tokio::{
    sync::Notify,
    task::{JoinHandle, yield_now},
    time::{sleep, timeout},
};
use tower::ServiceExt as _;

fn one_worker(capacity: usize) -> WorkQueue {
    WorkQueue::builder(capacity).workers(1).build().unwrap()
}

/// A job that runs until it is released.
fn blocker() -> (Job<&'static str>, Arc<Notify>) {
    let release = Arc::new(Notify::new());
    let released = Arc::clone(&release);
    let job = Job::future(async move {
        released.notified().await;
        "blocker"
    });
    (job, release)
}

/// Runs a job in a task, which is queued or running when this returns.
async fn started<R: Send + 'static>(
    work: &WorkQueue,
    job: Job<R>,
) -> JoinHandle<Result<R, WorkError>> {
    let queue = work.clone();
    let task = tokio::spawn(async move { queue.run(job).await });
    settle().await;
    task
}

async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

/// Waits until the workers have counted their jobs, which may be after the handlers have results.
async fn idle(work: &WorkQueue) {
    while work.running() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn jobs_run_in_order_on_as_many_workers_as_there_are() {
    let work = WorkQueue::builder(10).workers(2).build().unwrap();
    let (first, second) = (blocker(), blocker());
    let one = started(&work, first.0).await;
    let two = started(&work, second.0).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut others = Vec::new();
    for n in 0..5 {
        let order = Arc::clone(&order);
        let job = Job::future(async move { order.lock().unwrap().push(n) });
        others.push(started(&work, job).await);
    }
    assert_eq!((work.running(), work.waiting(), work.workers()), (2, 5, 2));
    assert!(order.lock().unwrap().is_empty());
    second.1.notify_one();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    first.1.notify_one();
    assert_eq!(one.await.unwrap(), Ok("blocker"));
    assert_eq!(two.await.unwrap(), Ok("blocker"));
    settle().await;
    assert_eq!(
        (work.accepted(), work.completed(), work.running()),
        (7, 7, 0)
    );
}

#[tokio::test]
async fn a_full_queue_rejects_at_once_as_every_gate_does() {
    let work = one_worker(1);
    let (job, release) = blocker();
    let running = started(&work, job).await;
    let queued = started(&work, Job::future(async {})).await;
    assert!((work.load() - 1.0).abs() < 1e-9);

    let error = work.run(|| ()).await.unwrap_err();
    assert!(matches!(error, WorkError::Full(_)));
    assert_eq!(
        work.submit(|| ()).unwrap_err().to_string(),
        "the work queue is full"
    );
    let response = error.into_response();

    // The same rejection by a gate.
    let service = tower::ServiceBuilder::new()
        .layer(GateLayer::new(HasRoom::new(work.clone())))
        .service(tower::service_fn(|_: Request<()>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::empty()))
        }));
    let gate = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gate.status(), response.status());
    let without_hint = |headers: &http::HeaderMap| {
        let mut headers = headers.clone();
        // Spread at random, so that callers do not return together.
        assert!(headers.remove("retry-after").is_some());
        headers
    };
    assert_eq!(
        without_hint(response.headers()),
        without_hint(gate.headers())
    );
    assert_eq!(response.headers()["plimsoll-rejected-by"], "work-queue");
    let collect = |body| axum::body::to_bytes(body, 10_000);
    let body = collect(response.into_body()).await.unwrap();
    assert_eq!(
        body,
        collect(axum::body::Body::new(gate.into_body()))
            .await
            .unwrap()
    );
    assert!(!body.is_empty());

    release.notify_one();
    running.await.unwrap().unwrap();
    queued.await.unwrap().unwrap();
    assert_eq!(work.rejected(), 3);
}

#[tokio::test]
async fn the_response_to_a_grpc_request_is_a_grpc_status() {
    let work = one_worker(1);
    work.shutdown().await;
    let error = work.submit(|| ()).unwrap_err();
    let request = Request::post("/")
        .header("content-type", "application/grpc")
        .body(());
    let (parts, ()) = request.unwrap().into_parts();
    let response = error.respond_to(&parts);
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert!(
        response
            .extensions()
            .get::<plimsoll_core::Rejection>()
            .is_some()
    );
}

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

#[tokio::test]
async fn a_more_important_job_evicts_a_less_important_one() {
    let policy = QueuePolicy::DropLowestPriority;
    let work = WorkQueue::builder(1)
        .workers(1)
        .policy(policy)
        .build()
        .unwrap();
    let (job, release) = blocker();
    let running = started(&work, job).await;
    let with = |criticality| Job::future(async {}).priority(Priority::new(criticality));
    let batch = started(&work, with(Criticality::Sheddable)).await;
    let user = started(&work, with(Criticality::Critical)).await;
    assert!(matches!(batch.await.unwrap(), Err(WorkError::Evicted(_))));
    assert!(matches!(
        work.submit(with(Criticality::Sheddable)),
        Err(WorkError::Full(_))
    ));
    assert_eq!((work.evicted(), work.rejected(), work.waiting()), (1, 1, 1));
    release.notify_one();
    running.await.unwrap().unwrap();
    user.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_expired_job_is_evicted_and_its_handler_learns_it() {
    let policy = QueuePolicy::DropExpired {
        ttl: Duration::from_secs(5),
    };
    let work = WorkQueue::builder(4)
        .workers(1)
        .policy(policy)
        .build()
        .unwrap();
    let (job, release) = blocker();
    let running = started(&work, job).await;
    let late = started(&work, Job::future(async {})).await;
    sleep(Duration::from_secs(6)).await;
    release.notify_one();
    running.await.unwrap().unwrap();
    assert!(matches!(late.await.unwrap(), Err(WorkError::Evicted(_))));
    assert_eq!(work.evicted(), 1);
}

#[tokio::test]
async fn a_job_above_the_bound_in_bytes_is_a_413() {
    let work = WorkQueue::builder(4)
        .workers(1)
        .max_bytes(10)
        .build()
        .unwrap();
    let error = work.submit(Job::blocking(|| ()).weight(11)).unwrap_err();
    assert_eq!(
        error,
        WorkError::TooLarge {
            weight: 11,
            max: 10
        }
    );
    assert_eq!(
        error.into_response().status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test(start_paused = true)]
async fn the_hint_is_the_time_in_which_the_queued_jobs_are_completed() {
    let work = WorkQueue::builder(6).workers(2).build().unwrap();
    work.run(Job::future(sleep(Duration::from_secs(3))))
        .await
        .unwrap();
    settle().await;
    for _ in 0..2 {
        work.submit(Job::future(pending::<()>())).unwrap();
    }
    settle().await;
    for _ in 0..6 {
        work.submit(Job::future(pending::<()>())).unwrap();
    }
    let error = work.submit(|| ()).unwrap_err();
    // 6 queued jobs of 3 s on 2 workers.
    let hint = error.rejection().unwrap().retry_after().unwrap();
    assert_eq!(hint.as_secs(), 9);
}

#[tokio::test]
async fn a_gate_rejects_before_the_body_is_read_and_load_shedding_follows_the_queue() {
    async fn upload(State(work): State<WorkQueue>, image: Bytes) -> Result<String, WorkError> {
        work.run(move || image.len().to_string()).await
    }
    let work = WorkQueue::builder(1)
        .workers(1)
        .max_bytes(10)
        .build()
        .unwrap();
    let app: Router = Router::new()
        .route("/", post(upload))
        .layer(GateLayer::new(HasRoom::new(work.clone())))
        .with_state(work.clone());
    let send = |length: &str| {
        let body = axum::body::Body::from("ten bytes!");
        let request = Request::post("/")
            .header("content-length", length)
            .body(body);
        app.clone().oneshot(request.unwrap())
    };
    assert_eq!(send("10").await.unwrap().status(), StatusCode::OK);
    idle(&work).await;

    let (job, release) = blocker();
    let running = started(&work, job.weight(4)).await;
    work.submit(Job::future(async {}).weight(4)).unwrap();
    assert_eq!(
        send("1").await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let shed = LoadShed::new(work.clone());
    let shedding = tower::ServiceBuilder::new()
        .layer(GateLayer::new(shed))
        .service(tower::service_fn(|_: Request<()>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::empty()))
        }));
    let shed = shedding.clone().oneshot(Request::new(())).await.unwrap();
    assert_eq!(shed.status(), StatusCode::SERVICE_UNAVAILABLE);
    release.notify_one();
    running.await.unwrap().unwrap();
    settle().await;
    let admitted = shedding.oneshot(Request::new(())).await.unwrap();
    assert_eq!(
        (admitted.status(), work.load().to_bits()),
        (StatusCode::OK, 0)
    );
}

#[test]
fn settings_out_of_bounds_name_the_setting_and_the_bound() {
    let message =
        |builder: plimsoll_stream::work::WorkQueueBuilder| builder.build().unwrap_err().to_string();
    let builder = WorkQueue::builder;
    assert_eq!(
        message(builder(0)),
        "capacity must be at least 1 item, got 0"
    );
    assert_eq!(
        message(builder(1).workers(0)),
        "workers must be in 1..=65536, got 0"
    );
    assert_eq!(
        message(builder(1).max_bytes(0)),
        "max_bytes must be at least 1 byte, got 0"
    );
    assert_eq!(
        message(builder(1).policy(QueuePolicy::Coalesce)),
        "policy coalesce needs `key`, which is not set"
    );
    assert_eq!(
        message(builder(1)),
        "build must be called in a tokio runtime, got none"
    );
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Run { weight: usize, level: usize },
    Submit { weight: usize, level: usize },
    HangUp(usize),
    Release,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0_usize..6, 0_usize..4).prop_map(|(weight, level)| Op::Run { weight, level }),
        1 => (0_usize..6, 0_usize..4).prop_map(|(weight, level)| Op::Submit { weight, level }),
        2 => (0_usize..8).prop_map(Op::HangUp),
        1 => Just(Op::Release),
    ]
}

proptest! {
    /// Each accepted job is completed, evicted or removed, and no place is lost.
    #[test]
    fn accepted_jobs_are_conserved(
        ops in prop::collection::vec(op(), 0..60),
        policy in prop_oneof![
            Just(QueuePolicy::BLOCK), Just(QueuePolicy::DropOldest), Just(QueuePolicy::DropNewest),
            Just(QueuePolicy::DropLowestPriority), Just(QueuePolicy::DropRandom { seed: 7 }),
        ],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let work = WorkQueue::builder(4).workers(1).max_bytes(10).policy(policy).build().unwrap();
            let release = Arc::new(tokio::sync::Semaphore::new(0));
            let mut handlers: Vec<JoinHandle<_>> = Vec::new();
            let job = |weight, level: usize| {
                let release = Arc::clone(&release);
                let wait = async move { release.acquire().await.map(tokio::sync::SemaphorePermit::forget) };
                let priority = Priority::new(Criticality::ALL[level]);
                Job::future(async move { _ = wait.await }).weight(weight).priority(priority)
            };
            for op in ops {
                match op {
                    Op::Run { weight, level } => {
                        handlers.push(started(&work, job(weight, level)).await);
                    }
                    Op::Submit { weight, level } => _ = work.submit(job(weight, level)),
                    Op::HangUp(index) if index < handlers.len() => {
                        handlers.swap_remove(index).abort();
                    }
                    Op::HangUp(_) => {}
                    Op::Release => release.add_permits(1),
                }
                settle().await;
                prop_assert!(work.waiting() <= 4 && work.waiting_bytes() <= 10);
            }
            release.close();
            work.shutdown().await;
            prop_assert_eq!((work.waiting(), work.waiting_bytes()), (0, 0));
            let ended = work.completed() + work.evicted() + work.hung_up();
            prop_assert_eq!(work.accepted(), ended);
            Ok(())
        })?;
    }
}
