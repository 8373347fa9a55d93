//! Random operations on a queue.

use plimsoll_stream::QueuePolicy;
use proptest::prelude::*;

use super::{MAX_BYTES, TTL};

#[derive(Debug, Clone)]
pub(super) enum Step {
    Send {
        weight: usize,
        level: usize,
        key: u8,
    },
    TrySend,
    Recv,
    TryRecv,
    RecvDelivery,
    RecvMany(usize),
    Drain,
    SetPolicy(QueuePolicy),
    Advance(u64),
    Reserve(usize),
    SendReserved(prop::sample::Index, usize),
    DropPermit(prop::sample::Index),
    Close,
}

pub(super) fn policy() -> impl Strategy<Value = QueuePolicy> {
    prop_oneof![
        Just(QueuePolicy::BLOCK),
        Just(QueuePolicy::DropOldest),
        Just(QueuePolicy::DropNewest),
        any::<u64>().prop_map(|seed| QueuePolicy::DropRandom { seed }),
        Just(QueuePolicy::DropLowestPriority),
        Just(QueuePolicy::DropExpired { ttl: TTL }),
        Just(QueuePolicy::Coalesce),
    ]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let send = (0..=MAX_BYTES + 1, 0_usize..4, 0_u8..5);
    prop_oneof![
        20 => (0_usize..30, 0_usize..4, 0_u8..5)
            .prop_map(|(weight, level, key)| Step::Send { weight, level, key }),
        2 => send.prop_map(|(weight, level, key)| Step::Send { weight, level, key }),
        8 => Just(Step::TrySend),
        6 => Just(Step::Recv),
        4 => Just(Step::TryRecv),
        6 => Just(Step::RecvDelivery),
        1 => (1_usize..8).prop_map(Step::RecvMany),
        1 => Just(Step::Drain),
        3 => policy().prop_map(Step::SetPolicy),
        3 => (1_u64..12).prop_map(Step::Advance),
        2 => (0_usize..40).prop_map(Step::Reserve),
        2 => (any::<prop::sample::Index>(), 0_usize..40)
            .prop_map(|(which, weight)| Step::SendReserved(which, weight)),
        1 => any::<prop::sample::Index>().prop_map(Step::DropPermit),
        1 => Just(Step::Close),
    ]
}

/// Items of mixed ages, which expire: changes between policies that replace, drop and expire.
pub(super) fn aging_step() -> impl Strategy<Value = Step> {
    let expire = QueuePolicy::DropExpired { ttl: TTL };
    let send = (0_usize..30, 0_usize..4, 0_u8..5);
    prop_oneof![
        12 => send.prop_map(|(weight, level, key)| Step::Send { weight, level, key }),
        3 => Just(Step::SetPolicy(expire)),
        2 => Just(Step::SetPolicy(QueuePolicy::Coalesce)),
        1 => policy().prop_map(Step::SetPolicy),
        8 => (1_u64..6).prop_map(Step::Advance),
        2 => Just(Step::TryRecv),
        3 => Just(Step::RecvDelivery),
        3 => (1_usize..8).prop_map(Step::RecvMany),
        1 => Just(Step::Drain),
    ]
}

/// The steps that a queue without weights, priorities and keys can take.
pub(super) fn without_functions(steps: Vec<Step>) -> Vec<Step> {
    let of = |step| match step {
        Step::Send { level, key, .. } => Step::Send {
            weight: 0,
            level,
            key,
        },
        Step::SetPolicy(policy) => Step::SetPolicy(needs_no_function(policy)),
        Step::Reserve(_) => Step::Reserve(0),
        Step::SendReserved(which, _) => Step::SendReserved(which, 0),
        other => other,
    };
    steps.into_iter().map(of).collect()
}

pub(super) fn needs_no_function(policy: QueuePolicy) -> QueuePolicy {
    match policy {
        QueuePolicy::DropLowestPriority | QueuePolicy::Coalesce => QueuePolicy::BLOCK,
        other => other,
    }
}
