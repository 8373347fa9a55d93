//! Every interleaving of giving cells to keys.

use std::sync::atomic::Ordering::Relaxed;

use loom::{sync::Arc, thread};

use super::table::{Hashed, Table};
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
    let cell = table.find_or_make(hash, 0);
    cell.take(0, 1).is_ok()
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

/// The set is full, and one cell has less taken from it than the others: both want it.
#[test]
fn two_keys_that_push_out_the_same_one_begin_with_its_debt() {
    let mut model = loom::model::Builder::new();
    // Filling the set takes many steps, which no other thread sees.
    model.max_branches = 20_000;
    model.preemption_bound = Some(2);
    model.check(|| {
        let table = table(2);
        for (old, times) in [(10, 1), (11, 2), (12, 2), (13, 2)] {
            for _ in 0..times {
                assert!(admits(&table, key(old)));
            }
        }
        let visit = |table: &Table<1>, hash| [(); 2].map(|()| admits(table, hash));
        let other = {
            let table = Arc::clone(&table);
            thread::spawn(move || visit(&table, ONE))
        };
        let mine = visit(&table, OTHER);
        let both = [mine, other.join().unwrap()];
        let admitted = both.as_flattened().iter().filter(|admits| **admits).count();
        assert!(
            admitted <= 1,
            "one was left in the cell, {admitted} were had"
        );
        assert!(!admits(&table, key(10)), "all cells are empty");
        assert_eq!(counts(&table).0, 4);
    });
}
