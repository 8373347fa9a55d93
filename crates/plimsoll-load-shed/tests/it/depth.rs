//! The depth of a bounded queue.

use plimsoll_core::LoadSignal;
use plimsoll_load_shed::Depth;
use proptest::prelude::*;

#[test]
fn a_queue_without_capacity_is_an_error() {
    let error = Depth::new(0).unwrap_err();
    assert_eq!(error.to_string(), "capacity must be at least 1, got 0");
}

#[test]
fn the_load_is_depth_over_capacity_and_a_dropped_guard_removes_its_entry() {
    let depth = Depth::new(4).unwrap();
    let (one, two) = (depth.enter(), depth.clone().enter());
    assert_eq!((depth.depth(), depth.capacity(), depth.load()), (2, 4, 0.5));
    drop(one);
    assert_eq!(depth.load(), 0.25);
    drop(two);
    assert_eq!(depth.load(), 0.0);
    depth.remove();
    assert_eq!(depth.depth(), 0, "an empty queue stays empty");
}

#[test]
fn try_enter_never_goes_over_the_capacity_from_many_threads() {
    let depth = Depth::new(3).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let entry = depth.try_enter();
                    assert!(depth.depth() <= 3);
                    drop(entry);
                }
            });
        }
    });
    assert_eq!(depth.depth(), 0);
}

proptest! {
    #[test]
    fn the_depth_matches_a_model_of_entries(capacity in 1_usize..8, steps in prop::collection::vec(0_u8..4, 0..100)) {
        let depth = Depth::new(capacity).unwrap();
        let mut entries = Vec::new();
        for step in steps {
            match step {
                0 => entries.push(depth.enter()),
                1 => {
                    let room = entries.len() < capacity;
                    let entry = depth.try_enter();
                    prop_assert_eq!(entry.is_some(), room);
                    entries.extend(entry);
                }
                _ => drop(entries.pop()),
            }
            prop_assert_eq!(depth.depth(), entries.len());
        }
    }
}
