//! A thousand clients that were rejected at one instant: when they return.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use plimsoll_client::{Backoff, Jitter, ReplayBody, RetryLayer};
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _, service_fn};

const CLIENTS: usize = 1000;
/// Into how many parts the time of the returns is divided.
const PARTS: usize = 20;

/// The fullest part over the mean of all parts. `hint` is the `retry-after` of the rejections.
pub(crate) fn peak_over_mean(hint: Option<&'static str>, jitter: Jitter) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets");
    let returns = runtime.block_on(returns(hint, jitter));
    let (first, last) = returns
        .iter()
        .fold((Duration::MAX, Duration::ZERO), |(first, last), at| {
            (first.min(*at), last.max(*at))
        });
    let part = last.saturating_sub(first).as_secs_f64() / PARTS as f64;
    let mut parts = [0_u32; PARTS];
    for at in &returns {
        let index = (at.saturating_sub(first).as_secs_f64() / part) as usize;
        parts[index.min(PARTS - 1)] += 1;
    }
    let peak = parts.iter().max().copied().unwrap_or(0);
    f64::from(peak) * PARTS as f64 / returns.len() as f64
}

/// When each client returns: its first retry.
async fn returns(hint: Option<&'static str>, jitter: Jitter) -> Vec<Duration> {
    let start = Instant::now();
    let returns = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&returns);
    let callee = service_fn(move |_: Request<ReplayBody<Empty<Bytes>>>| {
        let mut answer = Response::new(Full::<Bytes>::default());
        if start.elapsed().is_zero() {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            let headers = answer.headers_mut();
            headers.insert(
                "plimsoll-rejected-by",
                "concurrency".parse().expect("a name"),
            );
            if let Some(secs) = hint {
                headers.insert("retry-after", secs.parse().expect("digits"));
            }
        } else if let Ok(mut noted) = noted.lock() {
            noted.push(start.elapsed());
        }
        async { Ok::<_, io::Error>(answer) }
    });
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    let backoff = backoff.unwrap_or_default().jitter(jitter);
    let layer = RetryLayer::builder()
        .backoff(backoff)
        .build()
        .expect("settings in bounds");
    let client = layer.layer(callee);
    let calls: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(client.clone().oneshot(Request::new(Empty::new()))))
        .collect();
    for call in calls {
        _ = call.await;
    }
    let returns = returns.lock().map(|returns| returns.clone());
    returns.unwrap_or_default()
}

pub(crate) const CASES: [(&str, Option<&str>, Jitter); 6] = [
    ("full jitter", None, Jitter::Full),
    ("equal jitter", None, Jitter::Equal),
    ("decorrelated jitter", None, Jitter::Decorrelated),
    ("retry-after: 0", Some("0"), Jitter::Full),
    ("retry-after: 1", Some("1"), Jitter::Full),
    ("retry-after: 60", Some("60"), Jitter::Full),
];

#[allow(dead_code)] // The tests print nothing.
pub(crate) fn print() {
    println!("herd: {CLIENTS} clients rejected at one instant, returns in {PARTS} parts");
    println!("{:<34}{:>16}", "wait", "peak over mean");
    for (name, hint, jitter) in CASES {
        println!("{name:<34}{:>16.2}", peak_over_mean(hint, jitter));
    }
}
