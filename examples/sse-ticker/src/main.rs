//! Serves the page and the streams. See the README.

use std::error::Error;

use sse_ticker::{Ticker, app, publish};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let ticker = Ticker::new()?;
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    // The output of an example is its purpose.
    #[allow(clippy::print_stdout)]
    {
        println!("open http://{}", listener.local_addr()?);
    }
    tokio::spawn(publish(ticker.clone()));
    let server = axum::serve(listener, app(&ticker));
    server
        .with_graceful_shutdown(async move {
            // Without a handler for the signal, the process ends by it.
            _ = tokio::signal::ctrl_c().await;
            // Streams end, or the server would wait for them.
            ticker.prices.close();
            ticker.stats.close();
        })
        .await?;
    Ok(())
}
