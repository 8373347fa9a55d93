//! Deadlines: requests whose answer would come too late are rejected before work starts.
//!
//! ```sh
//! cargo run -p recipes --example deadlines
//! curl -i -H 'plimsoll-timeout-ms: 1000' http://127.0.0.1:3000/
//! curl -i -H 'plimsoll-timeout-ms: 20' http://127.0.0.1:3000/
//! ```
//!
//! The first request is answered with the time that was left. The second leaves less than the 50 ms
//! that the service needs: it is a 504 at once, and the handler does not run. A request without a
//! deadline is always run. gRPC callers state theirs in `grpc-timeout`.

use std::{env, error::Error, time::Duration};

use axum::{Extension, Router, routing::get};
use plimsoll::{Deadline, Deadlines, GateLayer, Instant, concurrency::ConcurrencyLimit};
use tokio::net::TcpListener;

/// The 99th percentile of the service's latency is a good value.
const AT_LEAST: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // `Deadlines` reads the header and leaves a `Deadline` in the extensions. The limit reads it
    // there: a request that would wait too long in the queue is rejected, too.
    let deadlines = Deadlines::propagated().at_least(AT_LEAST);
    let limit = ConcurrencyLimit::adaptive().deadlines(Deadlines::new());

    let app: Router = Router::new()
        .route("/", get(hello))
        .layer(GateLayer::new((deadlines, limit)));

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// A handler uses the time left as the timeout of its own calls.
async fn hello(deadline: Option<Extension<Deadline>>) -> String {
    match deadline {
        Some(Extension(deadline)) => {
            let left = deadline.remaining(Instant::now());
            format!("{} ms left", left.as_millis())
        }
        None => "no deadline".into(),
    }
}
