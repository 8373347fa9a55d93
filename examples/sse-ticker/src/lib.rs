//! Prices as server-sent events for browsers, fast and slow ones.
#![forbid(unsafe_code)]

use std::time::Duration;

use axum::{Router, response::Html, routing::get};
use plimsoll_stream::sse::{InvalidTopic, SseEvent, Topic};
use tokio::time::{MissedTickBehavior, interval};

const SYMBOLS: [&str; 8] = ["ADA", "BOB", "CAT", "DOG", "EEL", "FOX", "GNU", "HEN"];

/// Prices per second.
const RATE: u32 = 200;

/// The streams of the page.
#[derive(Debug, Clone)]
pub struct Ticker {
    /// The prices. Clients acknowledge them.
    pub prices: Topic,
    /// What the server counts, four times a second.
    pub stats: Topic,
}

impl Ticker {
    /// Makes both topics.
    ///
    /// # Errors
    ///
    /// A setting is out of bounds.
    pub fn new() -> Result<Self, InvalidTopic> {
        let prices = Topic::builder()
            // Two seconds of prices for each client, and ten seconds for all.
            .buffer(400)
            .capacity(2_000)
            .coalesce(SYMBOLS.len())
            // A page that is slow shows in nothing but its acknowledgements.
            .acknowledge(100)
            .poll_events(200)
            .build()?;
        let stats = Topic::builder().capacity(10).buffer(10).build()?;
        Ok(Self { prices, stats })
    }
}

/// The page and its streams.
pub fn app(ticker: &Ticker) -> Router {
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .nest("/prices", ticker.prices.router())
        .nest("/stats", ticker.stats.router())
}

/// Publishes until the topics are closed.
pub async fn publish(ticker: Ticker) {
    let mut prices = [100.0; SYMBOLS.len()];
    let mut tick = interval(Duration::from_secs(1) / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for n in 0_u32.. {
        tick.tick().await;
        let index = fastrand::usize(..SYMBOLS.len());
        let (symbol, price) = (SYMBOLS[index], &mut prices[index]);
        *price *= 1.0 + 0.01 * (fastrand::f64() - 0.5);
        let data = format!(r#"{{"symbol":"{symbol}","price":{price:.2}}}"#);
        // A later price replaces an earlier one for a client that is too far behind.
        if ticker
            .prices
            .publish(SseEvent::new(&data).key(symbol))
            .is_err()
        {
            return;
        }
        if n % (RATE / 4) == 0
            && ticker
                .stats
                .publish(SseEvent::new(&stats(&ticker)))
                .is_err()
        {
            return;
        }
    }
}

fn stats(ticker: &Ticker) -> String {
    let counters = ticker.prices.counters();
    format!(
        r#"{{"published":{},"clients":{},"pauses":{},"resumes":{},"moved":{},"missed":{}}}"#,
        counters.hub.published,
        counters.clients,
        counters.pauses,
        counters.resumes,
        counters.moved_slow + counters.moved_ack_timeout,
        counters.hub.missed,
    )
}
