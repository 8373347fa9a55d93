//! Redis fleet: one rate limit for all replicas of a service.
//!
//! ```sh
//! redis-server --port 6379 &
//! LISTEN=127.0.0.1:3000 cargo run -p recipes --example redis_fleet &
//! LISTEN=127.0.0.1:3001 cargo run -p recipes --example redis_fleet &
//! for port in 3000 3001 3000 3001; do curl -i -H 'x-api-key: ann' http://127.0.0.1:$port/; done
//! ```
//!
//! The quota is three requests per minute for each API key, over both replicas: the fourth request
//! is a 429 on either. While Redis is away, each replica limits to its share by itself. `/redis`
//! shows whether Redis decides. Set `REDIS_URL` for another server.

use std::{env, error::Error, time::Duration};

use axum::{Router, routing::get};
use plimsoll::{
    ApiKey, GateLayer, Missing,
    rate_limit::Quota,
    redis::{RedisRateLimit, RedisServer},
};
use tokio::{net::TcpListener, time::timeout};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".into());
    let limit = RedisRateLimit::builder(RedisServer::new(url.as_str())?)
        .quota(Quota::per_minute(3).named("per-key"))
        .per_key(ApiKey::new(), Missing::Share, 100_000)
        .replicas(2) // while Redis is away, each replica has a half
        .connect()?;
    let handle = limit.handle();
    // Not necessary, but without it the first requests may be decided without Redis. Start in both
    // cases: the service must not depend on Redis.
    if timeout(Duration::from_secs(1), handle.wait_connected())
        .await
        .is_err()
    {
        println!("not shared yet: {:?}", handle.disconnected());
    }
    let state = move || async move {
        match handle.disconnected() {
            None => "connected".into(),
            Some(reason) => format!("not connected: {reason}"),
        }
    };

    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(GateLayer::new(limit))
        .route("/redis", get(state));

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
