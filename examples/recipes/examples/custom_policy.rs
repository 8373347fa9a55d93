//! Custom policy: a budget of bytes that may be in flight, from the length of request bodies.
//!
//! ```sh
//! cargo run -p recipes --example custom_policy
//! curl -i -d 'short' http://127.0.0.1:3000/
//! head -c 2000 /dev/zero | curl -i --data-binary @- http://127.0.0.1:3000/
//! ```
//!
//! The budget is 1,000 bytes. The first request is answered. The second is larger than the budget
//! and is a 503 with `plimsoll-rejected-by: byte-budget`; its body is not read. `docs/policies.md`
//! has the rules, and a test kit that checks them.

use std::{
    convert::Infallible,
    env,
    error::Error,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use axum::{
    Router,
    http::{Request, header::CONTENT_LENGTH},
    routing::post,
};
use plimsoll::{GateLayer, Instant, Kind, Outcome, Policy, Rejection, policy::Verdict};
use tokio::net::TcpListener;

/// Admits requests while the sum of their lengths is within the budget.
#[derive(Debug)]
struct ByteBudget {
    budget: u64,
    in_flight: AtomicU64,
}

impl<B> Policy<Request<B>> for ByteBudget {
    /// Bytes taken. Plain data without a `Drop`: the gate ends each permit exactly once.
    type Permit = u64;
    plimsoll::decides_at_once!(Request<B>); // it never waits

    fn admit(&self, request: &mut Request<B>, _now: Instant) -> Verdict<u64, Infallible> {
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        // A body of unknown length counts as the whole budget.
        let bytes: u64 = length.unwrap_or(self.budget);
        let take = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.budget);
        if self.in_flight.fetch_update(Relaxed, Relaxed, take).is_ok() {
            return Verdict::Admit(bytes);
        }
        let rejection = Rejection::new("byte-budget", Kind::Full);
        Verdict::Reject(rejection.with_estimated_retry_after(Duration::from_secs(1)))
    }

    /// The request ran.
    fn finish(&self, bytes: u64, _: &Outcome) {
        self.in_flight.fetch_sub(bytes, Relaxed);
    }

    /// A later policy rejected the request: undo `admit`.
    fn revoke(&self, bytes: u64, _: Instant, _: Instant) {
        self.in_flight.fetch_sub(bytes, Relaxed);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let budget = ByteBudget {
        budget: 1_000,
        in_flight: AtomicU64::new(0),
    };
    let app: Router = Router::new()
        .route(
            "/",
            post(|body: String| async move { format!("{} bytes", body.len()) }),
        )
        .layer(GateLayer::new(budget));

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
