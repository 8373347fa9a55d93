//! Settings from a configuration file: a whole stack, built and checked at the start.
//!
//! ```sh
//! cargo run -p recipes --example from_config
//! curl -i http://127.0.0.1:3000/
//! CONFIG=limits.toml cargo run -p recipes --example from_config
//! ```
//!
//! Without `CONFIG` the file below is used: two requests at once per client, which each answer names
//! in `ratelimit-policy`; the third is a 429. An invalid file ends the program with the field, the
//! value and the bound.

use std::{env, error::Error, fs, net::SocketAddr, process::ExitCode};

use axum::{Router, routing::get};
use plimsoll::{
    ClientIp, GateLayer, Missing,
    circuit_breaker::CircuitBreakerBuilder,
    concurrency::ConcurrencyLimitBuilder,
    load_shed::LoadShedBuilder,
    rate_limit::{Quota, RateLimit, RateLimitBuilder},
};
use serde::Deserialize;
use tokio::net::TcpListener;

const DEFAULT: &str = r#"
clients = { quota = "60/m burst 2 named per-client", keys = 100_000 }
service = { quota = "1000/s burst 200" }
concurrency = { limit = "adaptive 8..=512", queue = { len = 128, max_wait = "50ms" } }
load_shed = { start = 0.9, full = 1.5 }
breaker = { failure_rate = 0.5, open_for = "2s", slow_call = "1s" }
"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    clients: Clients,
    service: RateLimitBuilder,
    concurrency: ConcurrencyLimitBuilder,
    #[serde(default)]
    load_shed: LoadShedBuilder,
    /// A policy that the file leaves out is not in the stack.
    breaker: Option<CircuitBreakerBuilder>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clients {
    quota: Quota,
    keys: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let text = match env::var("CONFIG") {
        Ok(path) => fs::read_to_string(path)?,
        Err(_) => DEFAULT.to_owned(),
    };
    let config: Config = toml::from_str(&text)?;
    let app = limited(config, Router::new().route("/", get(|| async { "hello" })))?;

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}

fn limited(config: Config, app: Router) -> Result<Router, Box<dyn Error>> {
    let Clients { quota, keys } = config.clients;
    let clients = RateLimit::new(quota)?.per_key(ClientIp::peer(), Missing::Share, keys)?;
    let service = config.service.build()?;
    let limit = config.concurrency.build()?;
    let shed = config.load_shed.build(limit.handle())?;
    let breaker = config.breaker.map(CircuitBreakerBuilder::build);
    let stack = (clients, service, shed, limit, breaker.transpose()?);
    Ok(app.layer(GateLayer::new(stack)))
}
