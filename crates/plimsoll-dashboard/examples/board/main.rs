//! A board of gates under a load of their own.
//!
//! ```sh
//! cargo run --release -p plimsoll-dashboard --example board
//! ```
//!
//! It prints the address. The circuit of the exchange opens every half minute, and the limit of the
//! checkout follows its dependency, which is slower now and then.

mod demo;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "3000".to_owned());
    let (metrics, board) = demo::start()?;
    let app = axum::Router::new()
        .nest("/plimsoll", board.router()?)
        .route_service("/metrics", metrics.service());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let addr = listener.local_addr()?;
    #[allow(clippy::print_stdout, reason = "a program")]
    {
        println!("http://{addr}/plimsoll/");
    }
    axum::serve(listener, app).await?;
    Ok(())
}
