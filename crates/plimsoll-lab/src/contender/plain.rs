//! No protection, and tower's own layers.

use tower::{ServiceBuilder, ServiceExt, util::BoxCloneService};

use super::{Hints, Limit, Refused, Stack};
use crate::backend::Backend;

/// No protection.
pub(super) fn none(backend: Backend, _: Hints) -> (Stack, Limit) {
    (
        BoxCloneService::new(backend.map_err(|never| match never {})),
        None,
    )
}

/// `LoadShed` over `ConcurrencyLimit`.
pub(super) fn tower(backend: Backend, hints: Hints) -> (Stack, Limit) {
    let limit = (hints.slots * hints.tuning).round().max(1.0) as usize;
    let stack = ServiceBuilder::new()
        .load_shed()
        .concurrency_limit(limit)
        .service(backend);
    (BoxCloneService::new(stack.map_err(|_| Refused)), None)
}
