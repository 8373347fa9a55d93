//! Counters of decisions and failures.

use plimsoll_core::{key::MissingKeys, policy::Counter};

use crate::failed::Failed;

/// The counters of one policy.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) admitted: Counter,
    pub(crate) rejected: Counter,
    pub(crate) leased: Counter,
    pub(crate) rejected_by_lease: Counter,
    pub(crate) over_size: Counter,
    pub(crate) local: Counter,
    pub(crate) opened: Counter,
    pub(crate) closed: Counter,
    pub(crate) timeouts: Counter,
    pub(crate) errors: Counter,
    pub(crate) nonsense: Counter,
    pub(crate) unreachable: Counter,
    pub(crate) queue_full: Counter,
    pub(crate) broken: Counter,
    pub(crate) lost: Counter,
    pub(crate) came_late: Counter,
    pub(crate) refunds: Counter,
    pub(crate) refunds_dropped: Counter,
    pub(crate) missing: MissingKeys,
}

impl Counts {
    pub(crate) fn failed(&self, failed: Failed) {
        match failed {
            Failed::Lost => &self.unreachable,
            Failed::Error => &self.errors,
            Failed::Nonsense => &self.nonsense,
            Failed::Timeout => &self.timeouts,
            Failed::Full => &self.queue_full,
            Failed::Open => &self.broken,
        }
        .add();
    }
}
