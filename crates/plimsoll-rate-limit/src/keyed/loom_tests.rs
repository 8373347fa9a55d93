//! Every interleaving of giving cells to keys.

use std::sync::atomic::Ordering::Relaxed;

use loom::{sync::Arc, thread};

use super::{hashed::Hashed, table::Table};
use crate::{Quota, settings::Settings};

/// Two sets of four cells, of which the keys here have the first.
fn table(burst: u32) -> Arc<Table<1>> {
    let quota = Quota::per_hour(1).burst(burst);
    let settings = Settings::new([quota]).unwrap();
    let table = Table::new(settings.into(), 4);
    assert_eq!(table.capacity(), 8);
    // Its page is allocated before there are threads.
    assert!(table.find(ONE).is_none());
    assert!(table.lock(ONE) != table.lock(OTHER));
    Arc::new(table)
}

/// Small in both halves, each of which names a set.
const fn key(key: u64) -> Hashed {
    Hashed((key << 32) | key)
}

/// Two keys that do not wait for each other.
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

/// A table of keys with a burst of two, whose first set is full: of key 10 on probation, and of three known keys
/// that have taken all they had.
fn full_table() -> Arc<Table<1>> {
    let table = table(2);
    assert!(admits(&table, key(10)));
    for old in 11..=13 {
        assert_eq!(of_two(&table, key(old)), 2);
    }
    table
}

/// Filling the set takes many steps, which no other thread sees.
fn model_of_full_table(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.preemption_bound = Some(2);
    builder.check(model);
}

#[test]
fn a_new_key_brought_by_two_threads_has_one_cell() {
    loom::model(|| {
        let table = table(1);
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || admits(&table, ONE))
        };
        let mine = admits(&table, ONE);
        assert!(mine != other.join().unwrap(), "one of the two");
        assert_eq!(counts(&table), (1, 0, 0));
    });
}

#[test]
fn two_keys_brought_at_once_to_one_set_have_a_cell_each() {
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
fn two_keys_that_evict_the_same_one_begin_with_its_debt() {
    model_of_full_table(|| {
        let table = full_table();
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || of_two(&table, ONE))
        };
        let both = of_two(&table, OTHER) + other.join().unwrap();
        // One was left in the cell, and one in the overflow bucket, which remembers the other of key 10.
        assert!(both <= 2, "{both} were admitted");
        let again = of_two(&table, key(10));
        assert!(again + both <= 2, "{again} more of key 10");
        assert_eq!(counts(&table).0, 4);
    });
}

#[test]
fn a_key_on_probation_that_comes_again_keeps_its_cell_or_its_debt() {
    model_of_full_table(|| {
        let table = full_table();
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || admits(&table, ONE))
        };
        let again = of_two(&table, key(10));
        assert!(again <= 1, "it has one left of two");
        other.join().unwrap();
        assert!(!admits(&table, key(10)) || again == 0);
        assert_eq!(counts(&table).0, 4);
    });
}

#[test]
fn keys_without_a_cell_take_no_more_than_their_bucket_holds() {
    model_of_full_table(|| {
        let table = full_table();
        // All four are known, and none is left.
        assert!(admits(&table, key(10)));
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || of_two(&table, ONE))
        };
        let both = of_two(&table, OTHER) + other.join().unwrap();
        assert_eq!(both, 2, "the burst of one");
        assert_eq!(counts(&table), (4, 0, 0));
        assert_eq!(table.overflowed.get(), 4);
    });
}
