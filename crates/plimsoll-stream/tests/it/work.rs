//! The bounded queue of work for handlers.

mod conserved;
mod ends;

use std::{
    future::pending,
    sync::{Arc, Mutex},
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
use tokio::{
    sync::Notify,
    task::{JoinHandle, yield_now},
    time::sleep,
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
