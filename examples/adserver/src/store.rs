//! The store: a few workers behind an unbounded queue, as in many databases.
//!
//! It finishes each request, also when the caller has left. That makes an overload last: once the
//! queueing delay exceeds the callers' deadline, all responses come too late.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use axum::{Router, extract::State, http::HeaderMap, routing::post};
use http::StatusCode;
use tokio::sync::{Semaphore, oneshot};

use crate::{
    proc::{self, Commands},
    settings::{STORE_JITTER, STORE_SERVICE, STORE_WORKERS},
    wire,
};

#[derive(Clone)]
struct Store {
    workers: Arc<Semaphore>,
    /// Number of restarts. Requests that were queued before the last one are dropped.
    epoch: Arc<AtomicU64>,
}

/// Runs the store until the parent process ends. The command `restart` empties its queue.
pub(crate) async fn run(mut commands: Commands) -> std::io::Result<()> {
    let store = Store {
        workers: Arc::new(Semaphore::new(STORE_WORKERS)),
        epoch: Arc::new(AtomicU64::new(0)),
    };
    let app = Router::new()
        .route("/lookup", post(lookup))
        .with_state(store.clone());
    let serving = proc::serve(app).await?;
    while let Some(command) = commands.next().await {
        if command == "restart" {
            store.epoch.fetch_add(1, Relaxed);
        }
    }
    serving.abort();
    Ok(())
}

async fn lookup(State(store): State<Store>, headers: HeaderMap) -> StatusCode {
    let cost = match headers
        .get(wire::COST)
        .map(|cost| cost.to_str().ok()?.parse::<f64>().ok())
    {
        None => 1.0,
        Some(Some(cost)) if (0.0..=1_000.0).contains(&cost) => cost,
        Some(_) => return StatusCode::BAD_REQUEST,
    };
    let (done, answer) = oneshot::channel();
    // In a task of its own, which is not dropped when the caller hangs up.
    tokio::spawn(store.work(cost, done));
    match answer.await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Store {
    async fn work(self, cost: f64, done: oneshot::Sender<()>) {
        let epoch = self.epoch.load(Relaxed);
        // Tokio's semaphore is first in, first out.
        let Ok(_worker) = self.workers.acquire().await else {
            return;
        };
        if self.epoch.load(Relaxed) == epoch {
            let jitter = 1.0 + STORE_JITTER * (2.0 * fastrand::f64() - 1.0);
            tokio::time::sleep(STORE_SERVICE.mul_f64(cost * jitter)).await;
            // Fails when the caller has left.
            _ = done.send(());
        }
    }
}
