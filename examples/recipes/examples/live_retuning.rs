//! Live retuning: limits that an admin route changes while the service runs.
//!
//! ```sh
//! cargo run -p recipes --example live_retuning
//! curl -X PUT http://127.0.0.1:3000/admin/quota/5
//! curl -X PUT http://127.0.0.1:3000/admin/bounds/10/50
//! curl -X PUT http://127.0.0.1:3000/admin/pin/20
//! curl -X DELETE http://127.0.0.1:3000/admin/pin
//! ```
//!
//! Each route answers with the new settings. An invalid value (`/admin/quota/0`) is a 400 with the
//! reason, and changes nothing. The program prints each change of the limit, its own included.

use std::{env, error::Error};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{delete, get, put},
};
use plimsoll::{
    GateLayer,
    concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle},
    rate_limit::{Quota, RateLimit, RateLimitHandle},
};
use tokio::net::TcpListener;

type Changed = Result<String, (StatusCode, String)>;

#[derive(Clone)]
struct Admin {
    rate: RateLimitHandle,
    limit: ConcurrencyLimitHandle,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rate = RateLimit::new(Quota::per_second(100))?;
    let limit = ConcurrencyLimit::adaptive();
    let admin = Admin {
        rate: rate.handle(),
        limit: limit.handle(),
    };
    // Runs on the thread that changes the limit: be quick.
    admin.limit.on_limit_change(|change| {
        println!("limit {} -> {} ({})", change.from, change.to, change.reason);
    });

    let app: Router = Router::new()
        .route("/", get(|| async { "hello" }))
        .layer(GateLayer::new((rate, limit)))
        // Outside the gate. Keep it away from users.
        .route("/admin/quota/{per_second}", put(set_quota))
        .route("/admin/bounds/{min}/{max}", put(set_bounds))
        .route("/admin/pin/{limit}", put(pin))
        .route("/admin/pin", delete(unpin))
        .with_state(admin);

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn set_quota(State(admin): State<Admin>, Path(per_second): Path<u32>) -> Changed {
    let quota = Quota::per_second(per_second);
    admin.rate.set_quota(quota).map_err(invalid)?;
    Ok(format!("{} per second\n", admin.rate.quota().count()))
}

async fn set_bounds(State(admin): State<Admin>, Path((min, max)): Path<(usize, usize)>) -> Changed {
    admin.limit.set_bounds(min..=max).map_err(invalid)?;
    let limit = admin.limit.limit();
    Ok(format!("limit {limit} within {min} to {max}\n"))
}

async fn pin(State(admin): State<Admin>, Path(limit): Path<usize>) -> Changed {
    admin.limit.pin(limit).map_err(invalid)?;
    Ok(format!("limit {}, pinned\n", admin.limit.limit()))
}

async fn unpin(State(admin): State<Admin>) -> String {
    admin.limit.unpin();
    format!("limit {}, measured\n", admin.limit.limit())
}

fn invalid(error: impl Error) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, format!("{error}\n"))
}
