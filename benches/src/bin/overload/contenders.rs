//! The services in front of the work. Fixed limits are tuned by hand to its capacity.

use std::sync::Arc;

use axum::{BoxError, Router, error_handling::HandleErrorLayer, http::StatusCode, routing::get};
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitLayer};
use plimsoll_core::{ByHeader, Deadlines};
use tower::{ServiceBuilder, limit::GlobalConcurrencyLimitLayer};

use crate::server::{Work, Worker};

/// The work alone.
pub fn bare(work: Work) -> Router {
    let worker = Arc::new(Worker::new(work));
    Router::new().route(
        "/",
        get(move || async move {
            worker.work().await;
            "done"
        }),
    )
}

/// All contenders by name.
pub fn all(work: Work) -> Vec<(&'static str, Router)> {
    let slots = work.slots();
    let fixed = || ConcurrencyLimit::new(slots).expect("a limit within bounds");
    let queued = || {
        let limit = fixed().queue(slots, work.deadline() / 4);
        limit.expect("a queue within bounds")
    };
    vec![
        ("bare", bare(work)),
        ("tower limit + load shed", tower(bare(work), slots)),
        ("plimsoll fixed", bare(work).layer(fixed().into_layer())),
        (
            "plimsoll fixed, short queue",
            bare(work).layer(queued().into_layer()),
        ),
        ("plimsoll adaptive", bare(work).layer(adaptive())),
        (
            "plimsoll adaptive, all it reads",
            bare(work).layer(reading().into_layer()),
        ),
    ]
}

/// With its defaults.
fn adaptive() -> ConcurrencyLimitLayer {
    ConcurrencyLimit::adaptive().into_layer()
}

/// With deadlines and priorities.
fn reading() -> ConcurrencyLimit<Deadlines, ByHeader> {
    ConcurrencyLimit::adaptive()
        .deadlines(Deadlines::new())
        .priorities(ByHeader::trusted())
}

/// Tower's own limit, which rejects instead of queueing.
pub fn tower(router: Router, slots: usize) -> Router {
    router.layer(
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(async |_: BoxError| {
                StatusCode::SERVICE_UNAVAILABLE
            }))
            .load_shed()
            .layer(GlobalConcurrencyLimitLayer::new(slots)),
    )
}
