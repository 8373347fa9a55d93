//! Shadow mode: try a limit on real traffic before it rejects.
//!
//! ```sh
//! cargo run -p recipes --example shadow_mode
//! for _ in 1 2 3; do curl http://127.0.0.1:3000/; done
//! curl http://127.0.0.1:3000/admin/shadow
//! curl -X PUT http://127.0.0.1:3000/admin/enforce/true
//! ```
//!
//! All three requests are answered, and the shadow counts that two would have been admitted and one
//! rejected. After `enforce/true` the next request is a 429; `enforce/false` is the way back.

use std::{env, error::Error};

use axum::{
    Router,
    extract::{Path, State},
    routing::{get, put},
};
use plimsoll::{
    GateLayer, Shadow, ShadowHandle,
    rate_limit::{Quota, RateLimit},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let shadow = Shadow::new(RateLimit::new(Quota::per_minute(2))?);
    let handle = shadow.handle();

    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(GateLayer::new(shadow))
        .route("/admin/shadow", get(show))
        .route("/admin/enforce/{on}", put(enforce))
        .with_state(handle);

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn show(State(shadow): State<ShadowHandle>) -> String {
    let (admitted, rejected) = (shadow.would_admit(), shadow.would_reject());
    format!("would admit {admitted}, would reject {rejected}\n")
}

async fn enforce(State(shadow): State<ShadowHandle>, Path(on): Path<bool>) {
    shadow.enforce(on);
}
