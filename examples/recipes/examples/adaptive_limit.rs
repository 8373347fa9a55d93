//! Adaptive concurrency limit: no settings, the limit is measured while the service runs.
//!
//! ```sh
//! cargo run -p recipes --example adaptive_limit
//! curl -s -o /dev/null -w '%{http_code}\n' --parallel --parallel-immediate --parallel-max 300 \
//!     'http://127.0.0.1:3000/?[1-300]' | sort | uniq -c
//! curl http://127.0.0.1:3000/limit
//! ```
//!
//! The service works on four requests at a time, 20 ms each. Of 300 requests at once some are
//! answered with 200, and the others at once with 503 and `retry-after`. `/limit` is outside the
//! gate and shows the limit, its reason, and the requests in flight.

use std::{env, error::Error, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use plimsoll::{GateLayer, concurrency::ConcurrencyLimit};
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = ConcurrencyLimit::adaptive();
    let handle = limit.handle(); // before the limit goes into the gate

    // Stands for a pool of four database connections.
    let pool = Arc::new(Semaphore::new(4));
    let query = move || {
        let pool = Arc::clone(&pool);
        async move {
            let _connection = pool.acquire().await;
            sleep(Duration::from_millis(20)).await;
            "hello"
        }
    };
    let show = move || async move {
        let (limit, reason) = (handle.limit(), handle.reason());
        let (in_flight, queued) = (handle.in_flight(), handle.queued());
        format!("limit {limit} ({reason}), in flight {in_flight}, queued {queued}\n")
    };

    let app: Router = Router::new()
        .route("/", get(query))
        .layer(GateLayer::new(limit))
        .route("/limit", get(show)); // added after the gate: not limited

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
