//! Priorities from your own authentication: users before batch jobs when slots are scarce.
//!
//! ```sh
//! cargo run -p recipes --example priorities
//! curl http://127.0.0.1:3000/report -H 'authorization: Bearer batch-job' &
//! curl http://127.0.0.1:3000/report -H 'authorization: Bearer batch-job' &
//! sleep 0.1; curl -i http://127.0.0.1:3000/report -H 'authorization: Bearer ann'
//! ```
//!
//! One report runs at a time, and one request can wait. The first job runs and the second waits.
//! `ann` then takes the place of the second job, which gets a 503, and is answered when the first
//! job is done. `/queue` shows the slots.

use std::{env, error::Error, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode, header::AUTHORIZATION},
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use plimsoll::{ByExtension, Criticality, GateLayer, Priority, concurrency::ConcurrencyLimit};
use tokio::{net::TcpListener, time::sleep};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = ConcurrencyLimit::new(1)?
        .queue(1, Duration::from_secs(5))?
        .priorities(ByExtension);
    let handle = limit.handle();
    let queue = || async move {
        let (in_flight, queued) = (handle.in_flight(), handle.queued());
        format!("in flight {in_flight}, queued {queued}")
    };

    let app: Router = Router::new()
        .route("/report", get(report))
        .layer(GateLayer::new(limit))
        .layer(from_fn(authenticate)) // the last layer is the outermost: it runs first
        .route("/queue", get(queue));

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Leaves the priority in the extensions, where it takes precedence over all headers.
async fn authenticate(mut request: Request, next: Next) -> Result<Response, StatusCode> {
    let token = request.headers().get(AUTHORIZATION);
    let priority = match token.map(HeaderValue::as_bytes) {
        // The cohort decides between users: all requests of one user are kept or rejected together.
        Some(b"Bearer ann") => Priority::new(Criticality::Critical).cohort_of("ann", 0),
        Some(b"Bearer batch-job") => Priority::new(Criticality::Sheddable),
        _ => return Err(StatusCode::UNAUTHORIZED),
    };
    request.extensions_mut().insert(priority);
    Ok(next.run(request).await)
}

async fn report() -> &'static str {
    sleep(Duration::from_millis(500)).await;
    "report"
}
