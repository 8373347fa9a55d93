//! Settings out of bounds.

use std::time::Duration;

use plimsoll_stream::{BoundedQueue, InvalidQueue, QueuePolicy};

fn error(capacity: usize, policy: QueuePolicy) -> String {
    BoundedQueue::<u32>::new(capacity, policy)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_setting_out_of_bounds_names_itself_and_its_bound() {
    let ttl = Duration::ZERO;
    assert_eq!(
        error(0, QueuePolicy::BLOCK),
        "capacity must be at least 1 item, got 0"
    );
    assert_eq!(
        error(1, QueuePolicy::DropExpired { ttl }),
        "ttl must be longer than 0, got 0"
    );
    let timeout = Some(ttl);
    assert_eq!(
        error(1, QueuePolicy::Block { timeout }),
        "timeout must be longer than 0, got 0"
    );
    assert_eq!(
        error(1, QueuePolicy::Coalesce),
        "policy coalesce needs `key`, which is not set"
    );
    assert_eq!(
        error(1, QueuePolicy::DropLowestPriority),
        "policy drop_lowest_priority needs `priority`, which is not set"
    );
    let builder = BoundedQueue::<String>::builder(1);
    assert_eq!(
        builder.max_bytes(0).build().unwrap_err(),
        InvalidQueue::MaxBytes
    );
    let builder = BoundedQueue::<String>::builder(1);
    assert_eq!(
        builder.measure_waits(0).build().unwrap_err(),
        InvalidQueue::MeasureWaits
    );
}

#[test]
fn a_rejected_change_of_the_policy_changes_nothing() {
    let queue = BoundedQueue::<u32>::new(1, QueuePolicy::DropOldest).unwrap();
    let ttl = Duration::ZERO;
    assert_eq!(
        queue.set_policy(QueuePolicy::DropExpired { ttl }),
        Err(InvalidQueue::Ttl)
    );
    assert!(queue.set_policy(QueuePolicy::Coalesce).is_err());
    assert_eq!(queue.policy(), QueuePolicy::DropOldest);
}
