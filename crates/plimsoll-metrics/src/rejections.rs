//! Rejections by policy, kind and criticality: tables of fixed size without a lock.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed},
    },
};

use plimsoll_core::{Criticality, Kind, support::buckets::Write};

/// Rows: a tuple holds up to eight policies; a gate with nested ones may have twice as many.
const ROWS: usize = 16;
/// The row of policies beyond the table.
const OTHER: usize = ROWS;
/// Its name.
const OTHER_NAME: &str = "other";
const KINDS: usize = Kind::ALL.len();
const CRITICALITIES: usize = Criticality::ALL.len();

/// The policies of a gate that reject.
///
/// Rows are claimed from left to right by the first rejection of a policy, so a policy has one row
/// however many threads reject concurrently.
#[derive(Debug, Default)]
pub(crate) struct Policies([Row; ROWS]);

#[derive(Debug, Default)]
struct Row {
    policy: OnceLock<&'static str>,
    /// One bit per kind: exported before the first rejection.
    expected: AtomicU32,
}

/// The rejections that one shard has counted, by the rows of [`Policies`].
#[derive(Debug, Default)]
pub(crate) struct Rejected {
    by_policy: [[AtomicU64; KINDS]; ROWS + 1],
    by_criticality: [AtomicU64; CRITICALITIES],
}

impl Rejected {
    #[inline]
    pub(crate) fn count<W: Write>(&self, row: usize, kind: usize, criticality: usize) {
        if let Some(count) = self.by_criticality.get(criticality) {
            W::add(count, 1);
        }
        // A kind of a later core than this crate was built with is beyond the table.
        if let Some(count) = self.by_policy.get(row).and_then(|row| row.get(kind)) {
            W::add(count, 1);
        }
    }
}

impl Policies {
    /// The row of a policy, [`OTHER`] for one beyond the table.
    #[inline]
    pub(crate) fn row(&self, policy: &'static str) -> usize {
        for (number, row) in self.0.iter().enumerate() {
            match row.policy.get() {
                Some(known) if same(known, policy) => return number,
                Some(_) => {}
                None => return self.claim(policy),
            }
        }
        OTHER
    }

    #[cold]
    fn claim(&self, policy: &'static str) -> usize {
        if policy == OTHER_NAME {
            return OTHER;
        }
        let claimed = |row: &Row| same(row.policy.get_or_init(|| policy), policy);
        self.0.iter().position(claimed).unwrap_or(OTHER)
    }

    /// Exports a series from the start, at 0.
    pub(crate) fn expect(&self, policy: &'static str, kind: Kind) {
        if let Some(row) = self.0.get(self.row(policy)) {
            row.expected.fetch_or(1 << kind.index(), Relaxed);
        }
    }

    /// The series that are not 0, or expected; policies beyond the table as [`OTHER_NAME`].
    pub(crate) fn read<'a>(
        &self,
        shards: &(impl Iterator<Item = &'a Rejected> + Clone),
    ) -> Vec<(&'static str, Kind, u64)> {
        let mut series = Vec::new();
        for number in 0..=ROWS {
            let (policy, expected) = match self.0.get(number) {
                Some(row) => match row.policy.get() {
                    Some(policy) => (*policy, row.expected.load(Relaxed)),
                    None => continue,
                },
                None => (OTHER_NAME, 0),
            };
            for (kind, at) in Kind::ALL.iter().zip(0..) {
                let counts = shards.clone().map(|one| &one.by_policy[number][at]);
                let count = counts.map(|count| count.load(Acquire)).sum();
                if count > 0 || expected & (1 << kind.index()) != 0 {
                    series.push((policy, *kind, count));
                }
            }
        }
        series
    }
}

/// Rejections by criticality, least important first.
pub(crate) fn by_criticality<'a>(
    shards: impl Iterator<Item = &'a Rejected>,
) -> [u64; CRITICALITIES] {
    let mut sums = [0; CRITICALITIES];
    for shard in shards {
        for (sum, count) in sums.iter_mut().zip(&shard.by_criticality) {
            *sum += count.load(Relaxed);
        }
    }
    sums
}

/// Equal constants may have several addresses, so only equal addresses are conclusive.
#[inline]
fn same(a: &'static str, b: &'static str) -> bool {
    std::ptr::eq(a, b) || a == b
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_core::support::buckets::Shared;

    const NAMES: [&str; ROWS + 2] = [
        "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13",
        "p14", "p15", "p16", "p17",
    ];

    #[derive(Default)]
    struct Table(Policies, Rejected);

    impl Table {
        fn record(&self, policy: &'static str, kind: Kind) {
            let row = self.0.row(policy);
            self.1.count::<Shared>(row, kind.index(), 0);
        }

        fn read(&self) -> Vec<(&'static str, Kind, u64)> {
            self.0.read(&[&self.1].into_iter())
        }
    }

    #[test]
    fn policies_beyond_the_table_are_counted_as_other() {
        let table = Table::default();
        for name in NAMES {
            table.record(name, Kind::Full);
        }
        table.record(OTHER_NAME, Kind::OverQuota);

        let series = table.read();
        assert_eq!(series.len(), ROWS + 2);
        assert!(
            series[..ROWS]
                .iter()
                .all(|(_, kind, count)| (*kind, *count) == (Kind::Full, 1))
        );
        assert_eq!(
            series[ROWS..],
            [
                (OTHER_NAME, Kind::OverQuota, 1),
                (OTHER_NAME, Kind::Full, 2)
            ]
        );
    }

    #[test]
    fn a_name_at_two_addresses_is_one_policy() {
        let table = Table::default();
        let copy: &'static str = Box::leak(String::from("rate-limit").into_boxed_str());
        table.record("rate-limit", Kind::OverQuota);
        table.record(copy, Kind::OverQuota);
        assert_eq!(table.read(), [("rate-limit", Kind::OverQuota, 2)]);
    }

    #[test]
    fn concurrent_rejections_of_a_policy_share_its_row() {
        for _ in 0..200 {
            let table = Table::default();
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let table = &table;
                    scope.spawn(move || {
                        for i in 0..8 {
                            table.record(NAMES[(i + thread) % 8], Kind::Full);
                        }
                    });
                }
            });
            let mut series = table.read();
            series.sort_unstable_by_key(|(policy, ..)| *policy);
            let all: Vec<_> = NAMES[..8]
                .iter()
                .map(|name| (*name, Kind::Full, 4))
                .collect();
            assert_eq!(series, all);
        }
    }

    #[test]
    fn an_expected_series_is_exported_at_zero() {
        let table = Table::default();
        table.0.expect("shed", Kind::Full);
        assert_eq!(table.read(), [("shed", Kind::Full, 0)]);
    }
}
