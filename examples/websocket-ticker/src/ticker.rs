//! The one source of ticks.

use std::time::Duration;

use tokio::{sync::watch, time::interval};

/// Starts the ticker: a task that counts. Receivers see the number of the latest tick.
pub(crate) fn start(every: Duration) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    tokio::spawn(async move {
        let mut interval = interval(every);
        loop {
            interval.tick().await;
            if sender.receiver_count() == 0 {
                return;
            }
            sender.send_modify(|n| *n += 1);
        }
    });
    receiver
}

/// The message of a tick: its number, and a price that depends on it only.
pub(crate) fn message(n: u64) -> String {
    let wave = (n as f64 / 40.0).sin() * 4.0 + (n as f64 / 7.0).sin();
    serde_json::json!({ "tick": n, "price": (10_000.0 + wave * 100.0).round() / 100.0 }).to_string()
}
