//! Plans by API key: authentication finds the plan of a key, and the plan chooses the quota.
//!
//! ```sh
//! cargo run -p recipes --example plans_by_api_key
//! curl -i -H 'x-api-key: ann' http://127.0.0.1:3000/
//! ```
//!
//! `ann` has the plan `pro` with five requests at once, `bob` and `cid` have the plan `free` with
//! two each. The next request is a 429 that names the plan in `ratelimit-policy`. A key that is not
//! known is a 401, and never reaches the limit: a made-up key would have a new quota.

use std::{env, error::Error};

use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, StatusCode},
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use plimsoll::{
    ApiKey, Choose, GateLayer, Missing,
    rate_limit::{Quota, RateLimit},
};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Plan {
    Free,
    Pro,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // One table of quotas per plan. The key in each table is the API key.
    let pro = RateLimit::new(Quota::per_hour(100).burst(5).named("pro"))?;
    let pro = pro.per_key(ApiKey::new(), Missing::Share, 100_000)?;
    let free = RateLimit::new(Quota::per_hour(10).burst(2).named("free"))?;
    let free = free.per_key(ApiKey::new(), Missing::Share, 100_000)?;
    let plan = |request: &Request| request.extensions().get::<Plan>().copied();
    let limit = Choose::by(plan, [(Plan::Pro, pro)], free);

    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(GateLayer::new(limit))
        .layer(from_fn(authenticate)); // the last layer is the outermost: it runs first

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Puts the plan of the key into the extensions. A header with the plan would be the caller's
/// choice.
async fn authenticate(mut request: Request, next: Next) -> Result<Response, StatusCode> {
    let key = request.headers().get("x-api-key");
    let plan = match key.map(HeaderValue::as_bytes) {
        Some(b"ann") => Plan::Pro,
        Some(b"bob" | b"cid") => Plan::Free,
        _ => return Err(StatusCode::UNAUTHORIZED),
    };
    request.extensions_mut().insert(plan);
    Ok(next.run(request).await)
}
