//! A bounded queue of work for handlers (feature `axum`).
//!
//! For work that is expensive and would overload the server if each request started it at once:
//! resizing images, rendering reports, hashing passwords. [`WorkQueue`] runs a fixed number of jobs
//! at a time, queues a bounded number of others, and rejects the rest at once with a 503 and
//! `retry-after`.
//!
//! ```
//! use axum::{Router, body::Bytes, extract::State, routing::post};
//! use plimsoll_stream::work::{Job, WorkError, WorkQueue};
//!
//! # fn resize(image: &[u8]) -> Vec<u8> { image.to_vec() }
//! async fn upload(State(work): State<WorkQueue>, image: Bytes) -> Result<Vec<u8>, WorkError> {
//!     let bytes = image.len();
//!     // Rejected at once when the queue is full: `WorkError` is the response.
//!     work.run(Job::blocking(move || resize(&image)).weight(bytes)).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // 2 jobs at a time, and at most 64 queued jobs with 32 MiB of uploads in total.
//! let work = WorkQueue::builder(64).workers(2).max_bytes(32 << 20).build()?;
//! let app: Router = Router::new().route("/images", post(upload)).with_state(work.clone());
//! # _ = app;
//! // At shutdown, when the server accepts no more requests: finish what was accepted.
//! work.shutdown().await;
//! # Ok(()) }
//! ```
//!
//! # Wait for the result, or answer 202
//!
//! | method | the handler | when the client hangs up |
//! |---|---|---|
//! | [`run`](WorkQueue::run) | awaits the result | a queued job is removed and its place is free; a running job ends, and its result is dropped |
//! | [`submit`](WorkQueue::submit) | answers 202 | the job runs |
//!
//! # Blocking or async
//!
//! [`Job::blocking`] is for work that uses a processor: it runs on tokio's blocking threads, so it
//! does not hold up other requests. [`Job::future`] is for async work, such as calls to a
//! dependency. Both count as one job of the workers. A closure is a blocking job.
//!
//! # Reject before the body is read
//!
//! A handler that extracts the body has it in memory before it can submit a job. [`HasRoom`] is a
//! policy for a [gate](plimsoll_core::Gate) in front of the handler. It rejects by the head of the
//! request, while the queue has no room for another job of the `content-length`. Bound the bodies of
//! admitted requests with axum's `DefaultBodyLimit` and a concurrency limit.
//!
//! # Degraded answers
//!
//! A rejection has its [`Rejection`](plimsoll_core::Rejection) in the response's extensions, as a
//! gate's has. So a fallback around the route substitutes it:
//!
//! ```
//! use axum::{Router, body::Bytes, extract::State, routing::post};
//! use plimsoll_fallback::{DEGRADED, Fallback};
//! use plimsoll_stream::work::{WorkError, WorkQueue};
//! # use tower::ServiceExt as _;
//!
//! async fn upload(State(work): State<WorkQueue>, image: Bytes) -> Result<String, WorkError> {
//!     work.run(move || format!("resized {} bytes", image.len())).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let work = WorkQueue::builder(64).build()?;
//! let app: Router = Router::new()
//!     .route("/images", post(upload))
//!     .layer(Fallback::answer(http::Response::new("the placeholder")).into_layer())
//!     .with_state(work.clone());
//!
//! # work.shutdown().await;
//! # let request = http::Request::post("/images").body(axum::body::Body::from("..."))?;
//! // While the queue is full or shut down:
//! let answer = app.oneshot(request).await?;
//! assert_eq!(answer.status(), 200);
//! assert_eq!(answer.headers()[DEGRADED], r#"rejected;policy="work-queue";kind=full"#);
//! # Ok(()) }
//! ```
//!
//! # Priorities
//!
//! With [`QueuePolicy::DropLowestPriority`](crate::QueuePolicy::DropLowestPriority) a full queue
//! evicts a job of lower [priority](Job::priority) for a more important one; the handler of the
//! evicted job gets [`WorkError::Evicted`]. With `DropOldest` the newest jobs are served, which
//! suits clients that give up. [`QueuePolicy::BLOCK`](crate::QueuePolicy::BLOCK), the default,
//! evicts nothing. No policy makes a submission wait.
//!
//! # Tasks
//!
//! [`build`](WorkQueueBuilder::build) spawns one tokio task per worker. They end after
//! [`shutdown`](WorkQueue::shutdown), after [`abort`](WorkQueue::abort), and when the last clone of
//! the queue is dropped; in the last case accepted jobs are finished first.

mod builder;
mod error;
mod ewma;
mod figures;
mod job;
mod queue;
mod respond;
mod room;
mod running;
mod slot;
mod worker;

pub(crate) use self::running::Running;
pub use self::{
    builder::WorkQueueBuilder,
    error::{InvalidWorkQueue, WorkError},
    job::Job,
    queue::WorkQueue,
    room::HasRoom,
};
