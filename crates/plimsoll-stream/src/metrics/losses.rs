//! Which losses can occur, so that their counters are exported from the start.

use std::time::Duration;

use crate::{DropReason, QueuePolicy};

/// A policy of each kind, with the reasons for which it loses items.
///
/// Under each policy but `Block` a new item is dropped when it would not fit beside the room that
/// permits have reserved.
const LOSSES: [(QueuePolicy, &[DropReason]); 7] = [
    (QueuePolicy::BLOCK, &[]),
    (
        QueuePolicy::DropOldest,
        &[DropReason::Oldest, DropReason::Newest],
    ),
    (QueuePolicy::DropNewest, &[DropReason::Newest]),
    (
        QueuePolicy::DropRandom { seed: 0 },
        &[DropReason::Random, DropReason::Newest],
    ),
    (
        QueuePolicy::DropLowestPriority,
        &[DropReason::LowestPriority, DropReason::Newest],
    ),
    (
        QueuePolicy::DropExpired {
            ttl: Duration::from_secs(1),
        },
        &[DropReason::Expired, DropReason::Newest],
    ),
    (
        QueuePolicy::Coalesce,
        &[DropReason::Replaced, DropReason::Oldest, DropReason::Newest],
    ),
];

/// The losses under the policies that are allowed: the name of the policy, and the reason.
pub(super) fn losses(
    allowed: impl Fn(QueuePolicy) -> bool,
) -> impl Iterator<Item = (&'static str, DropReason)> {
    let policies = LOSSES
        .into_iter()
        .filter(move |(policy, _)| allowed(*policy));
    policies.flat_map(|(policy, reasons)| {
        let reasons = reasons.iter().copied();
        reasons.map(move |reason| (policy.name(), reason))
    })
}
