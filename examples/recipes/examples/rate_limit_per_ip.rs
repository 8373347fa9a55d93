//! Rate limit per client IP, behind one proxy that appends to `X-Forwarded-For`.
//!
//! ```sh
//! cargo run -p recipes --example rate_limit_per_ip
//! curl -i -H 'x-forwarded-for: 203.0.113.7' http://127.0.0.1:3000/
//! ```
//!
//! Each address has ten requests per minute, three of them at once. The fourth request within a
//! moment is a 429 with `retry-after: 6`, and other addresses are still answered. An entry that the
//! client writes in front of the proxy's entry changes nothing: `behind(1)` reads the last one.

use std::{env, error::Error, net::SocketAddr};

use axum::{Router, routing::get};
use plimsoll::{
    ClientIp, GateLayer, Missing,
    rate_limit::{Quota, RateLimit},
};
use tokio::net::TcpListener;

/// Without a proxy, use `ClientIp::peer()`. `docs/keys.md` lists what to write for which proxy.
const PROXIES: usize = 1;
/// The table is made for this many addresses. Its memory is bounded, whatever callers send.
const ADDRESSES: usize = 100_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let quota = Quota::per_minute(10).burst(3).named("per-client");
    let key = ClientIp::behind(PROXIES);
    // `Share`: requests without an address share one quota.
    let limit = RateLimit::new(quota)?.per_key(key, Missing::Share, ADDRESSES)?;

    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(GateLayer::new(limit));

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // With connect info, a request that reaches the service without the proxy is limited by the
    // address of its connection.
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}
