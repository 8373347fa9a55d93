//! Plain Tower service: a gate around a service that is not HTTP, behind a socket of text lines.
//!
//! ```sh
//! cargo run -p recipes --example plain_tower
//! printf 'hello\nhello\nhello\n' | curl -sN -m 1 telnet://127.0.0.1:3000
//! ```
//!
//! Each line is a request, and the answer is the line in capitals. The third line within a moment is
//! rejected: the service is not called, and the answer is `busy, retry in 10 s`.

use std::{convert::Infallible, env, error::Error, future::ready};

use plimsoll::{
    GateLayer, Plain, PlainError, Rejection,
    rate_limit::{Quota, RateLimit},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tower::{ServiceBuilder, ServiceExt, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let limit = RateLimit::new(Quota::per_minute(6).burst(2))?;
    // With `Plain`, a rejection is an error, an `Ok` is a success and an `Err` a failure.
    let gate = GateLayer::builder(limit).protocol(Plain::new()).build();
    let shout = |line: String| ready(Ok::<_, Infallible>(line.to_uppercase()));
    // Clones share the limit.
    let service = ServiceBuilder::new().layer(gate).service(service_fn(shout));

    let address = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".into());
    let listener = TcpListener::bind(address).await?;
    println!("listening on telnet://{}", listener.local_addr()?);
    loop {
        let (mut socket, _) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let (read, mut write) = socket.split();
            let mut lines = BufReader::new(read).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let answer = match service.clone().oneshot(line).await {
                    Ok(answer) => answer,
                    Err(error) => explain(&error),
                };
                if write
                    .write_all(format!("{answer}\n").as_bytes())
                    .await
                    .is_err()
                {
                    return;
                }
            }
        });
    }
}

/// `rejection_in` also looks into the errors of layers around the gate, such as tower's timeout.
fn explain(error: &PlainError) -> String {
    match PlainError::rejection_in(error).map(Rejection::retry_after) {
        Some(Some(wait)) => format!("busy, retry in {} s", wait.as_secs_f64().ceil()),
        Some(None) => "busy".into(),
        None => format!("failed: {error}"),
    }
}
