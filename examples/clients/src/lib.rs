//! Clients that retry, hedge and guard their calls. Each module has a `run` that a program prints and
//! a test checks.

pub mod breaker_per_host;
pub mod hedged_reads;
pub mod reqwest_retries;
pub mod tonic_client;

use axum::Router;
use tokio::net::TcpListener;

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Serves a router on a free port. Returns its URL.
pub async fn serve(app: Router) -> Result<String, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}
