//! Plimsoll: all six layers, nested and fused.
//!
//! Both stacks have the same policies in the same order with the same settings, with the fallback
//! outermost; load shedding and sampling read the concurrency limit's load, as in a server.

use plimsoll_circuit_breaker::CircuitBreaker;
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitHandle};
use plimsoll_core::{Gate, GateLayer, Http};
use plimsoll_fallback::{Fallback, Fixed};
use plimsoll_load_shed::LoadShed;
use plimsoll_rate_limit::{Quota, RateLimit};
use plimsoll_sampling::Sampling;
use tower::Layer;

use super::{
    Case,
    bare::HTTP,
    case::spent,
    plimsoll::{AMPLE, Inner, SPENT, closed, concurrency, house_ad, open, rate, sampling},
};

/// The cases of whole stacks.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("plimsoll/fused-six@accept", HTTP, || {
            fused(accepting(), house_ad())
        }),
        Case::new("plimsoll/nested-six@accept", HTTP, || {
            nested(accepting(), house_ad())
        }),
        // The breaker rejects after three policies have admitted the request, which are revoked.
        Case::new("plimsoll/fused-six@reject", HTTP, || {
            fused(broken(), strict())
        }),
        Case::new("plimsoll/nested-six@reject", HTTP, || {
            nested(broken(), strict())
        }),
        // As before, but the fallback answers.
        Case::new("plimsoll/fused-six-degraded@reject", HTTP, || {
            fused(broken(), house_ad())
        }),
        Case::new("plimsoll/nested-six-degraded@reject", HTTP, || {
            nested(broken(), house_ad())
        }),
        // The first policy, the rate limit, rejects.
        Case::new("plimsoll/fused-six-first@reject", HTTP, || {
            spent(HTTP, fused(policies(SPENT, closed()), house_ad()))
        }),
        Case::new("plimsoll/nested-six-first@reject", HTTP, || {
            spent(HTTP, nested(policies(SPENT, closed()), house_ad()))
        }),
    ]
}

/// A fallback that substitutes no rejections.
fn strict() -> Fallback<Fixed> {
    house_ad().on_rejection(false)
}

type Load = ConcurrencyLimitHandle;
type Policies = (
    RateLimit,
    ConcurrencyLimit,
    LoadShed<Load>,
    CircuitBreaker,
    Sampling<Load>,
);

fn accepting() -> Policies {
    policies(AMPLE, closed())
}

fn broken() -> Policies {
    policies(AMPLE, open())
}

fn policies(quota: Quota, breaker: CircuitBreaker) -> Policies {
    let concurrency = concurrency(1024);
    let (shed, sampling) = (
        LoadShed::new(concurrency.handle()),
        sampling(concurrency.handle()),
    );
    (rate(quota), concurrency, shed, breaker, sampling)
}

/// One gate with all policies.
fn fused(policies: Policies, fallback: Fallback<Fixed>) -> Gate<Inner, Policies, Fallback<Fixed>> {
    GateLayer::builder(policies)
        .protocol(fallback)
        .build()
        .layer(Inner::OK)
}

/// Six gates, one around the other.
fn nested(policies: Policies, fallback: Fallback<Fixed>) -> Nested {
    let (rate, concurrency, shed, breaker, sampling) = policies;
    let sampled = GateLayer::new(sampling).layer(Inner::OK);
    let guarded = GateLayer::new(breaker).layer(sampled);
    let shedding = GateLayer::new(shed).layer(guarded);
    let limited = GateLayer::new(concurrency).layer(shedding);
    let metered = GateLayer::new(rate).layer(limited);
    fallback.into_layer().layer(metered)
}

type Guarded = Gate<Gate<Inner, Sampling<Load>, Http>, CircuitBreaker, Http>;
type Metered =
    Gate<Gate<Gate<Guarded, LoadShed<Load>, Http>, ConcurrencyLimit, Http>, RateLimit, Http>;
type Nested = Gate<Metered, (), Fallback<Fixed>>;
