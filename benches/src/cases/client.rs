//! Retries and hedges: Plimsoll's, tower's, and those of `tower-resilience`. All calls succeed.

use std::{convert::Infallible, future::Ready, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use plimsoll_client::{AdaptiveThrottle, HedgeLayer, RetryBudget, RetryLayer};
use plimsoll_core::{GateLayer, Http};
use tower::{
    Layer,
    retry::{
        self,
        budget::{Budget as _, TpsBudget},
    },
};

use super::{
    Case, Empty,
    bare::{Bare, HTTP, KEYED},
};

type Inner = Bare<Full<Bytes>>;
type Answer = Response<Full<Bytes>>;

/// The cases of clients.
pub(super) fn cases() -> Vec<Case> {
    let plimsoll = || RetryLayer::new().layer(Inner::OK);
    vec![
        Case::new("plimsoll/retry@accept", HTTP, plimsoll),
        Case::new("plimsoll/retry-with-headers@accept", KEYED, plimsoll),
        Case::new("plimsoll/retry-recent@accept", HTTP, || {
            let budget = RetryBudget::recent(0.1, 10, Duration::from_secs(10));
            let budget = budget.expect("settings in bounds");
            let layer = RetryLayer::builder().budget(budget).build();
            layer.expect("settings in bounds").layer(Inner::OK)
        }),
        Case::new("plimsoll/throttle@accept", HTTP, || {
            let layer = GateLayer::builder(AdaptiveThrottle::new());
            layer.protocol(Http::client()).build().layer(Inner::OK)
        }),
        Case::new("plimsoll/hedge@accept", HTTP, || {
            let layer = HedgeLayer::builder().build();
            layer.expect("settings in bounds").layer(Inner::OK)
        }),
        Case::new("tower/retry-tps-budget@accept", HTTP, tower),
        Case::new("tower/retry-tps-budget-with-headers@accept", KEYED, tower),
        Case::new("tower-resilience/retry@accept", HTTP, || {
            let layer =
                tower_resilience_retry::RetryLayer::<Request<Empty>, Answer, Infallible>::builder()
                    .max_attempts(3)
                    .exponential_backoff(Duration::from_millis(100))
                    .build();
            layer.layer(Inner::OK)
        }),
        Case::new("tower-resilience/hedge@accept", HTTP, || {
            let layer = tower_resilience_hedge::HedgeLayer::builder()
                .delay(Duration::from_secs(1))
                .max_hedged_attempts(2)
                .build();
            layer.layer(Inner::OK)
        }),
    ]
}

fn tower() -> retry::Retry<Policy, Inner> {
    retry::Retry::new(Policy(Arc::default()), Inner::OK)
}

/// A policy as in tower's documentation: clones the request, and deposits after a success.
#[derive(Clone)]
struct Policy(Arc<TpsBudget>);

impl retry::Policy<Request<Empty>, Answer, Infallible> for Policy {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Empty>,
        result: &mut Result<Answer, Infallible>,
    ) -> Option<Ready<()>> {
        if result
            .as_ref()
            .is_ok_and(|answer| !answer.status().is_server_error())
        {
            self.0.deposit();
            return None;
        }
        self.0.withdraw().then(|| std::future::ready(()))
    }

    fn clone_request(&mut self, req: &Request<Empty>) -> Option<Request<Empty>> {
        Some(req.clone())
    }
}
