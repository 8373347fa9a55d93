//! Rejections by policy and kind: a table of fixed size without a lock for known names.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use plimsoll_core::{Kind, Rejection};

/// Rows: a tuple holds up to eight policies; a gate with nested ones may have twice as many.
const ROWS: usize = 16;
const KINDS: usize = Kind::ALL.len();
/// The name under which policies beyond the table are counted.
const OTHER: &str = "other";

type Counts = [AtomicU64; KINDS];

/// Counts rejections by policy and kind.
///
/// Rows are claimed from left to right by the first rejection of a policy, so a policy has one row
/// however many threads reject concurrently. Rejections without a row are counted as [`OTHER`].
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    rows: [Row; ROWS],
    other: Counts,
}

#[derive(Debug, Default)]
struct Row {
    policy: OnceLock<&'static str>,
    counts: Counts,
    /// One bit per kind: exported before the first rejection.
    expected: AtomicU32,
}

impl Rejections {
    #[inline]
    pub(crate) fn record(&self, rejection: &Rejection) {
        let counts = self
            .row(rejection.policy())
            .map_or(&self.other, |row| &row.counts);
        // A kind of a later core than this crate was built with is beyond the table.
        if let Some(count) = counts.get(rejection.kind().index()) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Exports a series from the start, at 0.
    pub(crate) fn expect(&self, policy: &'static str, kind: Kind) {
        if let Some(row) = self.row(policy) {
            row.expected.fetch_or(1 << kind.index(), Relaxed);
        }
    }

    /// The series that are not 0, or expected.
    pub(crate) fn read(&self) -> Vec<(&'static str, Kind, u64)> {
        let mut series = Vec::new();
        for row in &self.rows {
            let Some(policy) = row.policy.get() else {
                break;
            };
            let expected = row.expected.load(Relaxed);
            for (kind, count) in Kind::ALL.iter().zip(&row.counts) {
                let count = count.load(Relaxed);
                if count > 0 || expected & (1 << kind.index()) != 0 {
                    series.push((*policy, *kind, count));
                }
            }
        }
        for (kind, count) in Kind::ALL.iter().zip(&self.other) {
            let count = count.load(Relaxed);
            if count > 0 {
                series.push((OTHER, *kind, count));
            }
        }
        series
    }

    #[inline]
    fn row(&self, policy: &'static str) -> Option<&Row> {
        for row in &self.rows {
            match row.policy.get() {
                Some(known) if same(known, policy) => return Some(row),
                Some(_) => {}
                None => return self.claim(policy),
            }
        }
        None
    }

    #[cold]
    fn claim(&self, policy: &'static str) -> Option<&Row> {
        if policy == OTHER {
            return None;
        }
        self.rows
            .iter()
            .find(|row| same(row.policy.get_or_init(|| policy), policy))
    }
}

/// Equal constants may have several addresses, so only equal addresses are conclusive.
#[inline]
fn same(a: &'static str, b: &'static str) -> bool {
    std::ptr::eq(a, b) || a == b
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; ROWS + 2] = [
        "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13",
        "p14", "p15", "p16", "p17",
    ];

    #[test]
    fn policies_beyond_the_table_are_counted_as_other() {
        let table = Rejections::default();
        for name in NAMES {
            table.record(&Rejection::new(name, Kind::Full));
        }
        table.record(&Rejection::new(OTHER, Kind::OverQuota));

        let series = table.read();
        assert_eq!(series.len(), ROWS + 2);
        assert!(
            series[..ROWS]
                .iter()
                .all(|(_, kind, count)| (*kind, *count) == (Kind::Full, 1))
        );
        assert_eq!(
            series[ROWS..],
            [(OTHER, Kind::OverQuota, 1), (OTHER, Kind::Full, 2)]
        );
    }

    #[test]
    fn a_name_at_two_addresses_is_one_policy() {
        let table = Rejections::default();
        let copy: &'static str = Box::leak(String::from("rate-limit").into_boxed_str());
        table.record(&Rejection::new("rate-limit", Kind::OverQuota));
        table.record(&Rejection::new(copy, Kind::OverQuota));
        assert_eq!(table.read(), [("rate-limit", Kind::OverQuota, 2)]);
    }

    #[test]
    fn concurrent_rejections_of_a_policy_share_its_row() {
        for _ in 0..200 {
            let table = Rejections::default();
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let table = &table;
                    scope.spawn(move || {
                        for i in 0..8 {
                            table.record(&Rejection::new(NAMES[(i + thread) % 8], Kind::Full));
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
        let table = Rejections::default();
        table.expect("shed", Kind::Full);
        assert_eq!(table.read(), [("shed", Kind::Full, 0)]);
    }
}
