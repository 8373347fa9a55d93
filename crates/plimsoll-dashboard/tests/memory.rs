//! The memory of a board. Alone in its program, since it reads that of the process.

use std::time::Duration;

use axum::{Router, body::Body, http::Request};
use http_body_util::BodyExt;
use plimsoll_core::{Class, Observe, Outcome};
use plimsoll_dashboard::dashboard;
use plimsoll_metrics::Metrics;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

/// The bytes that this process has in memory.
fn resident() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

async fn get(router: &Router, path: &str) -> Body {
    let request = Request::get(path).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap().into_body()
}

#[tokio::test(start_paused = true)]
async fn memory_is_flat_over_an_hour() {
    let metrics = Metrics::new();
    let gates = [metrics.gate("edge"), metrics.gate("checkout")];
    let router = dashboard(&metrics);
    // One viewer reads each update, one never does.
    let (mut reads, _sleeps) = (
        get(&router, "/updates").await,
        get(&router, "/updates").await,
    );
    let hour = async |reads: &mut Body| {
        for second in 0..3600_u64 {
            for gate in &gates {
                for call in 0..5 {
                    gate.admitted("gate", Duration::ZERO);
                    let latency = Duration::from_micros(1000 + 37 * (second % 100) + call);
                    let outcome = Outcome::new(Class::Success, latency, Instant::now());
                    gate.finished("gate", &outcome);
                }
            }
            sleep(Duration::from_secs(1)).await;
            reads.frame().await.unwrap().unwrap();
            if second % 60 == 0 {
                for view in 0..3 {
                    let body = get(&router, &format!("/history/{view}.json")).await;
                    body.collect().await.unwrap();
                }
            }
        }
    };
    // The first hour fills the rings.
    hour(&mut reads).await;
    let before = resident();
    hour(&mut reads).await;
    let grown = resident() - before;
    assert!(grown < 1 << 20, "{grown} bytes in an hour");
}
