//! The counters of a gate, with names as text: those of this process or of a peer.

use std::borrow::Cow;

use plimsoll_core::Class;
use plimsoll_metrics::GateCounts;
use serde::{Deserialize, Serialize};

/// A name of this program, or one that a peer sent.
pub(crate) type Text = Cow<'static, str>;

/// The counters of a gate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) admitted: u64,
    pub(crate) abandoned: u64,
    pub(crate) body_dropped: u64,
    pub(crate) missing_keys: u64,
    /// Admitted requests that ended, by class.
    pub(crate) finished: Vec<(Text, u64)>,
    /// Rejections by policy and kind.
    pub(crate) rejected: Vec<(Text, Text, u64)>,
}

impl Counts {
    pub(crate) fn of(counts: &GateCounts) -> Self {
        let rejected = counts.rejected.iter();
        Self {
            admitted: counts.admitted,
            abandoned: counts.abandoned,
            body_dropped: counts.body_dropped,
            missing_keys: counts.missing_keys,
            finished: Class::ALL
                .iter()
                .map(|class| (class.as_str().into(), counts.finished(*class)))
                .collect(),
            rejected: rejected
                .map(|of| (of.policy.into(), of.kind.as_str().into(), of.count))
                .collect(),
        }
    }

    pub(crate) fn rejections(&self) -> u64 {
        sum(self.rejected.iter().map(|(_, _, count)| *count))
    }

    pub(crate) fn in_flight(&self) -> u64 {
        let ended = sum(self.finished.iter().map(|(_, count)| *count));
        self.admitted.saturating_sub(ended)
    }

    /// Calls that ended in a failure, or in an answer that the callee was overloaded.
    pub(crate) fn failures(&self) -> u64 {
        let failed =
            |class: &str| class == Class::Failure.as_str() || class == Class::Overloaded.as_str();
        let finished = self.finished.iter();
        sum(finished
            .filter(|(class, _)| failed(class))
            .map(|(_, count)| *count))
    }

    /// What was counted after `earlier`. A process that was restarted counts from 0 again: then all
    /// of it is new.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let restarted =
            self.admitted < earlier.admitted || self.rejections() < earlier.rejections();
        if restarted {
            return self.clone();
        }
        let before =
            |class: &Text| find(&earlier.finished, |(of, _)| of == class).map_or(0, |of| of.1);
        let rejected = |policy: &Text, kind: &Text| {
            find(&earlier.rejected, |(by, of, _)| by == policy && of == kind).map_or(0, |of| of.2)
        };
        Self {
            admitted: self.admitted - earlier.admitted,
            abandoned: self.abandoned.saturating_sub(earlier.abandoned),
            body_dropped: self.body_dropped.saturating_sub(earlier.body_dropped),
            missing_keys: self.missing_keys.saturating_sub(earlier.missing_keys),
            finished: self
                .finished
                .iter()
                .map(|(class, count)| (class.clone(), count.saturating_sub(before(class))))
                .collect(),
            rejected: self
                .rejected
                .iter()
                .map(|(policy, kind, count)| {
                    let new = count.saturating_sub(rejected(policy, kind));
                    (policy.clone(), kind.clone(), new)
                })
                .collect(),
        }
    }

    /// Adds the counters of another process.
    pub(crate) fn add(&mut self, other: &Self) {
        self.admitted = self.admitted.saturating_add(other.admitted);
        self.abandoned = self.abandoned.saturating_add(other.abandoned);
        self.body_dropped = self.body_dropped.saturating_add(other.body_dropped);
        self.missing_keys = self.missing_keys.saturating_add(other.missing_keys);
        for (class, count) in &other.finished {
            match self.finished.iter_mut().find(|(of, _)| of == class) {
                Some((_, sum)) => *sum = sum.saturating_add(*count),
                None => self.finished.push((class.clone(), *count)),
            }
        }
        for (policy, kind, count) in &other.rejected {
            let mut mine = self.rejected.iter_mut();
            match mine.find(|(by, of, _)| by == policy && of == kind) {
                Some((_, _, sum)) => *sum = sum.saturating_add(*count),
                None => self.rejected.push((policy.clone(), kind.clone(), *count)),
            }
        }
    }
}

fn find<T>(list: &[T], is: impl Fn(&T) -> bool) -> Option<&T> {
    list.iter().find(|of| is(of))
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(admitted: u64, full: u64) -> Counts {
        Counts {
            admitted,
            finished: vec![("success".into(), admitted)],
            rejected: vec![("concurrency".into(), "full".into(), full)],
            ..Counts::default()
        }
    }

    #[test]
    fn differences_and_sums_are_by_name() {
        let new = counts(10, 4).since(&counts(7, 1));
        assert_eq!((new.admitted, new.rejections(), new.in_flight()), (3, 3, 0));
        let mut sum = counts(10, 4);
        sum.add(&Counts {
            rejected: vec![("shed".into(), "full".into(), 2)],
            ..counts(1, 0)
        });
        assert_eq!((sum.admitted, sum.rejections()), (11, 6));
    }

    #[test]
    fn a_restarted_process_counts_from_zero() {
        assert_eq!(counts(3, 0).since(&counts(100, 50)), counts(3, 0));
    }
}
