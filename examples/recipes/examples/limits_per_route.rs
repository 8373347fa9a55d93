//! Limits per route: an expensive route, a group of routes, and a route without a limit.
//!
//! ```sh
//! cargo run -p recipes --example limits_per_route
//! curl -i http://127.0.0.1:3000/search
//! curl -i http://127.0.0.1:3000/items/7
//! ```
//!
//! `/search` admits two requests at once. Each route pattern of the group admits five at once, so
//! `/items/7` and `/items/8` share a quota and `/items` has another. `/healthz` is not limited.

use std::{env, error::Error};

use axum::{Router, extract::Path, routing::get};
use plimsoll::{
    GateLayer, Missing, Route,
    rate_limit::{Quota, RateLimit},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One route: a gate around its handler.
    let search = RateLimit::new(Quota::per_minute(2).named("search"))?;
    let search = get(|| async { "found" }).layer(GateLayer::new(search));

    // A group of routes: one limit with a quota for each pattern. `route_layer` runs after routing,
    // so the gate can read the pattern, and a 404 spends nothing.
    let quota = Quota::per_minute(5).named("items");
    let items = RateLimit::new(quota)?.per_key(Route::matched(), Missing::Share, 100)?;
    let items: Router = Router::new()
        .route("/items", get(|| async { "all items" }))
        .route("/items/{id}", get(item))
        .route_layer(GateLayer::new(items));

    // Outside of every gate: a balancer must not remove a busy server.
    let app = items
        .route("/search", search)
        .route("/healthz", get(|| async { "ok" }));

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn item(Path(id): Path<u64>) -> String {
    format!("item {id}")
}
