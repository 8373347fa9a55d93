//! One ticker, and three ways to lose its messages. See the README.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

mod app;
mod settings;
mod strategies;
mod ticker;

use std::{error::Error, process::ExitCode, time::Duration};

use axum::extract::ws::CloseFrame;
use plimsoll_stream::listener::BackpressureListener;
use tokio::{net::TcpListener, time::sleep};

use self::{settings::Settings, strategies::Strategies};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("websocket-ticker: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let strategies = Strategies::new(&settings)?;
    let ticks = ticker::start(settings.tick);
    let tcp = TcpListener::bind(&settings.listen).await?;
    println!("listening on http://{}", tcp.local_addr()?);
    // Longer than the deadline of the WebSockets, which sends a close frame.
    let listener = BackpressureListener::builder(tcp)
        .write_deadline(Some(settings.write_deadline * 2))
        .build()?;
    let sockets = listener.handle();
    axum::serve(listener, app::app(strategies.clone(), ticks, sockets))
        .with_graceful_shutdown(async {
            _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    strategies.close_all(&CloseFrame {
        code: 1001,
        reason: "going away".into(),
    });
    // The close handshakes, for at most their deadline.
    for _ in 0..200 {
        if strategies.open() == 0 {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
