//! little-loadshedder, with the best target: half the deadline.

use std::{convert::Infallible, time::Duration};

use little_loadshedder::{LoadShedLayer, LoadShedResponse};
use tower::{Layer, ServiceExt, util::BoxCloneService};

use super::{Hints, Limit, Refused, Stack};
use crate::backend::Backend;

/// Weight of the newest sample, as in its documentation.
const NEWEST: f64 = 0.01;

pub(super) fn half_the_deadline(backend: Backend, hints: Hints) -> (Stack, Limit) {
    let target = Duration::from_secs_f64(hints.deadline / 2.0);
    let shedder = LoadShedLayer::new(NEWEST, target).layer(backend);
    let meter = shedder.clone();
    let stack = shedder.map_err(|never: Infallible| match never {});
    let stack = stack.map_result(|answer: Result<_, Refused>| match answer? {
        LoadShedResponse::Inner(answer) => Ok(answer),
        LoadShedResponse::Overload => Err(Refused),
    });
    (
        BoxCloneService::new(stack),
        Some(Box::new(move || meter.concurrency() as f64)),
    )
}
