//! How many attempts a failing backend receives for each request.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use plimsoll_client::{Backoff, ReplayBody, RetryBudget, RetryLayer};
use tower::{Layer as _, ServiceExt as _, service_fn, util::BoxCloneSyncService};

const REQUESTS: u64 = 10_000;

type Request_ = Request<Empty<Bytes>>;
type Hop = BoxCloneSyncService<Request_, StatusCode, io::Error>;

/// Attempts over requests, when each of `hops` services retries the calls to the next one, and the
/// last one fails all of them.
pub(crate) fn attempts_over_requests(hops: u32, budget: fn() -> RetryBudget) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets");
    runtime.block_on(async {
        let attempts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&attempts);
        let backend = service_fn(move |_: Request_| {
            counted.fetch_add(1, Relaxed);
            async { Ok::<_, io::Error>(StatusCode::SERVICE_UNAVAILABLE) }
        });
        let mut hop = BoxCloneSyncService::new(backend);
        for _ in 0..hops {
            hop = retrying(hop, budget());
        }
        for _ in 0..REQUESTS {
            // 100 requests per second, each with its own backoff.
            tokio::time::sleep(Duration::from_millis(10)).await;
            let call = hop.clone().oneshot(Request::new(Empty::new()));
            tokio::spawn(call);
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
        attempts.load(Relaxed) as f64 / REQUESTS as f64
    })
}

/// A service that calls the next hop, with retries, and answers with its status.
fn retrying(next: Hop, budget: RetryBudget) -> Hop {
    let callee = service_fn(move |_: Request<ReplayBody<Empty<Bytes>>>| {
        let call = next.clone().oneshot(Request::new(Empty::new()));
        async move {
            let mut answer = Response::new(Full::<Bytes>::default());
            *answer.status_mut() = call.await?;
            Ok::<_, io::Error>(answer)
        }
    });
    let waits = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    let layer = RetryLayer::builder()
        .budget(budget)
        .backoff(waits.unwrap_or_default())
        .build()
        .expect("settings in bounds");
    let client = layer.layer(callee);
    BoxCloneSyncService::new(service_fn(move |req: Request_| {
        let call = client.clone().oneshot(req);
        async move {
            call.await
                .map(|answer| answer.status())
                .map_err(io::Error::other)
        }
    }))
}

pub(crate) fn successes() -> RetryBudget {
    RetryBudget::default()
}

/// The bank holds one retry, so that the share alone is measured.
pub(crate) fn share() -> RetryBudget {
    RetryBudget::share_of_requests(0.1, 1).unwrap_or_default()
}

#[allow(dead_code)] // The tests print nothing.
pub(crate) fn print() {
    println!("amplification: {REQUESTS} requests, the backend fails all, 3 attempts");
    println!(
        "{:<34}{:>10}{:>14}{:>10}",
        "budget", "hops", "attempts", "bound"
    );
    for (name, budget) in [
        (
            "10 % of successes (the default)",
            successes as fn() -> RetryBudget,
        ),
        ("10 % of requests", share),
    ] {
        for hops in [1, 3] {
            let measured = attempts_over_requests(hops, budget);
            println!(
                "{name:<34}{hops:>10}{measured:>14.4}{:>10.4}",
                1.1_f64.powi(hops as i32)
            );
        }
    }
}
