use std::collections::HashSet;

use super::*;
use crate::Quota;

fn table(capacity: usize) -> Table<1> {
    let settings = Settings::new([Quota::per_hour(10)]).expect("valid");
    Table::new(settings.into(), capacity)
}

#[test]
fn a_key_is_found_without_its_lock_from_its_third_request_on() {
    let table = table(100);
    for key in 0..20 {
        let hash = table.hash(key);
        for _ in 0..2 {
            assert!(table.find_known(hash).is_none());
            assert!(table.take_unknown(hash, 0, 1).is_ok());
        }
        let cell = table.find_known(hash).expect("known");
        assert_eq!(cell.remaining(crate::share::Share::FULL, 0), 8);
    }
}

#[test]
fn keys_are_spread_over_the_locks() {
    let table = table(100_000);
    let locks: HashSet<_> = (0..1000)
        .map(|key| table.lock_index(table.hash(key)))
        .collect();
    // About 890 of 4,096, when each lock is equally likely.
    assert!(locks.len() > 800, "{}", locks.len());
}

#[test]
fn the_last_page_has_only_the_sets_that_are_left() {
    let table = table(10_000);
    for place in 0..table.sets {
        table.set(place);
    }
    let pages = table.sets as f64 / SETS_PER_PAGE as f64;
    assert!(pages.fract() > 0.1 && pages.fract() < 0.9, "{pages}");
    let overflow = table.sets.div_ceil(2) * size_of::<u64>();
    let bytes = table.sets * size_of::<Set<1>>() + overflow;
    assert_eq!(table.bytes(), bytes);
}
