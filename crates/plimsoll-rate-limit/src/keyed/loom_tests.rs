//! Every interleaving of assigning cells to keys.

use std::sync::atomic::Ordering::Relaxed;

use loom::{sync::Arc, thread};

use super::{hashed::Hashed, table::Table};
use crate::{Quota, settings::Settings};

/// Two sets of four cells. The keys in these tests use the first set.
fn table(burst: u32) -> Arc<Table<1>> {
    let quota = Quota::per_hour(1).burst(burst);
    let settings = Settings::new([quota]).unwrap();
    let table = Table::new(settings.into(), 4);
    assert_eq!(table.capacity(), 8);
    // Allocates the page before other threads exist.
    assert!(table.find(ONE).is_none());
    assert!(table.lock_index(ONE) != table.lock_index(OTHER));
    Arc::new(table)
}

/// A hash that is small in both halves, so both places are the first set.
const fn key(key: u64) -> Hashed {
    Hashed((key << 32) | key)
}

/// Two keys with different locks.
const ONE: Hashed = key(1);
const OTHER: Hashed = key(4);

/// Keys, evicted, inherited.
fn counts(table: &Table<1>) -> (u64, u64, u64) {
    let keys = table.keys.load(Relaxed);
    (keys, table.evicted.get(), table.inherited.get())
}

fn admits(table: &Table<1>, hash: Hashed) -> bool {
    match table.find_known(hash) {
        Some(cell) => cell.take(0, 1).is_ok(),
        None => table.take_unknown(hash, 0, 1).is_ok(),
    }
}

/// How many of two requests are admitted.
fn of_two(table: &Table<1>, hash: Hashed) -> u32 {
    (0..2).map(|_| u32::from(admits(table, hash))).sum()
}

/// A table with burst 2 and a full first set: key 10 on probation, and three known keys without
/// tokens.
fn full_table() -> Arc<Table<1>> {
    let table = table(2);
    assert!(admits(&table, key(10)));
    for old in 11..=13 {
        assert_eq!(of_two(&table, key(old)), 2);
    }
    table
}

/// Filling the set takes many branches, although no other thread runs then.
fn model_of_full_table(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = Some(2);
    builder.check(model);
}

#[test]
fn a_new_key_on_two_threads_gets_one_cell() {
    loom::model(|| {
        let table = table(1);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || admits(&table, ONE))
        };
        let mine = admits(&table, ONE);
        assert!(mine != other.join().unwrap(), "one of the two is admitted");
        assert_eq!(counts(&table), (1, 0, 0));
    });
}

#[test]
fn two_new_keys_in_one_set_get_a_cell_each() {
    loom::model(|| {
        let table = table(1);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || admits(&table, ONE))
        };
        assert!(admits(&table, OTHER));
        assert!(other.join().unwrap());
        assert!(!admits(&table, ONE) && !admits(&table, OTHER));
        assert_eq!(counts(&table), (2, 0, 0));
    });
}

#[test]
fn two_keys_that_evict_the_same_key_inherit_its_debt() {
    model_of_full_table(|| {
        let table = full_table();
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || of_two(&table, ONE))
        };
        let both = of_two(&table, OTHER) + other.join().unwrap();
        // One token was left in the cell, and one in the overflow bucket, which recorded key 10's
        // other one.
        assert!(both <= 2, "{both} were admitted");
        let again = of_two(&table, key(10));
        assert!(again + both <= 2, "{again} more of key 10");
        assert_eq!(counts(&table).0, 4);
    });
}

#[test]
fn a_returning_key_on_probation_keeps_its_cell_or_its_debt() {
    model_of_full_table(|| {
        let table = full_table();
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || admits(&table, ONE))
        };
        let again = of_two(&table, key(10));
        assert!(again <= 1, "one of two tokens is left");
        other.join().unwrap();
        assert!(!admits(&table, key(10)) || again == 0);
        assert_eq!(counts(&table).0, 4);
    });
}

#[test]
fn keys_without_a_cell_share_the_burst_of_their_overflow_bucket() {
    model_of_full_table(|| {
        let table = full_table();
        // All four keys are known, and no token is left.
        assert!(admits(&table, key(10)));
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || of_two(&table, ONE))
        };
        let both = of_two(&table, OTHER) + other.join().unwrap();
        assert_eq!(both, 2, "the burst of one key");
        assert_eq!(counts(&table), (4, 0, 0));
        assert_eq!(table.overflowed.get(), 4);
    });
}
