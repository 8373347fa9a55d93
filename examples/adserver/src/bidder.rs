//! A bidder: a small HTTP server that bids on every auction, and is slow or fails on command.

use std::sync::{
    Arc,
    atomic::{
        AtomicU8,
        Ordering::{Acquire, Release},
    },
};

use axum::{Router, extract::State, routing::post};
use http::StatusCode;

use crate::{
    proc::{self, Commands},
    settings::{BID_SERVICE, SLOW_BID},
};

const WELL: u8 = 0;
const SLOW: u8 = 1;
const FAILING: u8 = 2;

/// Runs a bidder until the parent process ends.
///
/// The commands `well`, `slow` and `fail` change its health.
pub(crate) async fn run(mut commands: Commands) -> std::io::Result<()> {
    let health = Arc::new(AtomicU8::new(WELL));
    let app = Router::new()
        .route("/bid", post(bid))
        .with_state(Arc::clone(&health));
    let serving = proc::serve(app).await?;
    while let Some(command) = commands.next().await {
        match command.as_str() {
            "well" => health.store(WELL, Release),
            "slow" => health.store(SLOW, Release),
            "fail" => health.store(FAILING, Release),
            _ => {}
        }
    }
    serving.abort();
    Ok(())
}

/// Responds with a price in thousandths of a cent.
async fn bid(State(health): State<Arc<AtomicU8>>) -> Result<String, StatusCode> {
    let thinking = match health.load(Acquire) {
        FAILING => return Err(StatusCode::INTERNAL_SERVER_ERROR),
        SLOW => SLOW_BID,
        _ => BID_SERVICE,
    };
    tokio::time::sleep(thinking.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
    Ok(fastrand::u32(100..5_000).to_string())
}
