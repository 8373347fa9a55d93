//! Shadow mode: try a limit on real traffic before it rejects.
//!
//! ```sh
//! cargo run -p recipes --example shadow_mode
//! for _ in 1 2 3; do curl http://127.0.0.1:3000/; done
//! curl http://127.0.0.1:3000/admin/shadow
//! curl -X PUT http://127.0.0.1:3000/admin/enforce/true
//! ```
//!
//! All three requests are answered. The shadow counts that two would have been admitted and one
//! rejected, and by which client; the program prints that rejection. After `enforce/true` the next
//! request is a 429; `enforce/false` is the way back.

use std::{env, error::Error, net::SocketAddr};

use axum::{
    Router,
    extract::{Path, State},
    routing::{get, put},
};
use plimsoll::{
    ClientIp, GateLayer, Kind, Missing, Shadow, ShadowHandle,
    rate_limit::{Quota, RateLimit},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = RateLimit::new(Quota::per_minute(2))?;
    let limit = limit.per_key(ClientIp::peer(), Missing::Share, 100_000)?;
    // Counts rejections of up to 1,000 clients.
    let shadow = Shadow::new(limit).by_key(ClientIp::peer(), 1_000)?;
    let handle = shadow.handle();
    handle.on_rejection(|would| {
        let client = would.key.unwrap_or("unknown");
        println!("client {client} {}", would.rejection);
    });

    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(GateLayer::new(shadow))
        .route("/admin/shadow", get(show))
        .route("/admin/enforce/{on}", put(enforce))
        .with_state(handle);

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}

async fn show(State(shadow): State<ShadowHandle>) -> String {
    let (admitted, rejected) = (shadow.would_admit(), shadow.would_reject());
    let over_quota = shadow.would_reject_as(Kind::OverQuota);
    let clients = shadow.would_reject_by_key().counts.into_iter();
    let clients = clients.map(|(client, rejected)| format!("client {client}: {rejected}\n"));
    let clients: String = clients.collect();
    format!("would admit {admitted}, would reject {rejected}\nover quota: {over_quota}\n{clients}")
}

async fn enforce(State(shadow): State<ShadowHandle>, Path(on): Path<bool>) {
    shadow.enforce(on);
}
