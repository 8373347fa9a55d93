//! Tower's own `ConcurrencyLimit` and `LoadShed`.

use bytes::Bytes;
use http_body_util::Full;
use tower::{ServiceBuilder, limit::ConcurrencyLimit, load_shed::LoadShed};

use super::{
    Case,
    bare::{Bare, HTTP},
    case::occupied,
};

type Inner = Bare<Full<Bytes>>;

/// Tower's cases.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("tower/concurrency-limit@accept", HTTP, || {
            ServiceBuilder::new()
                .concurrency_limit(1024)
                .service(Inner::OK)
        }),
        Case::new("tower/load-shed@accept", HTTP, || LoadShed::new(Inner::OK)),
        Case::new("tower/load-shed+concurrency-limit@accept", HTTP, || {
            stack(1024)
        }),
        Case::new("tower/load-shed+concurrency-limit@reject", HTTP, || {
            occupied(stack(1))
        }),
    ]
}

fn stack(limit: usize) -> LoadShed<ConcurrencyLimit<Inner>> {
    ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(limit)
        .service(Inner::OK)
}
