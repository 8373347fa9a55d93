//! Interleavings of spending a lease, taking another and calling them back: all with up to three preemptions, of which more
//! would take hours.

use loom::{sync::Arc, thread};
use plimsoll_core::Live;

use super::*;
use crate::terms::LiveQuota;

struct Bucket {
    quotas: [LiveQuota; 1],
    tag: AtomicU64,
    words: [AtomicU64; 1],
    lanes: Lanes,
}

/// T = 10, a burst of 64 of which all but a few have been taken, and two lanes with leases of four.
fn bucket(left: u64) -> Arc<Bucket> {
    let bucket = Bucket {
        quotas: [Live::new([10, 640, 0, 0])],
        tag: AtomicU64::new(0),
        words: [AtomicU64::new(Word::new(0, 640 - left * 10).0)],
        lanes: Lanes::new(2).unwrap(),
    };
    Arc::new(bucket)
}

impl Bucket {
    fn take(&self, lane: usize) -> bool {
        let cell = Cell {
            quotas: &self.quotas,
            tag: &self.tag,
            words: &self.words,
        };
        self.lanes.take_in(lane, cell, 0, 1).is_ok()
    }
}

fn exactly(tokens: usize, lanes: [usize; 2]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let bucket = bucket(tokens as u64);
        assert!(bucket.take(0), "lane 0 has a lease, if there are enough");
        let other = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                usize::from(bucket.take(lanes[1])) + usize::from(bucket.take(lanes[1]))
            })
        };
        let mine = usize::from(bucket.take(lanes[0])) + usize::from(bucket.take(lanes[0]));
        let both = 1 + mine + other.join().unwrap();
        let rest = (0..tokens + 1).filter(|_| bucket.take(0)).count();
        assert_eq!(both + rest, tokens);
    });
}

#[test]
fn two_threads_on_one_lane_spend_a_lease_once() {
    exactly(6, [0, 0]);
}

#[test]
fn a_lease_that_is_called_back_is_spent_once() {
    exactly(5, [0, 1]);
}

#[test]
fn nothing_is_lost_when_there_are_too_few_for_a_lease() {
    exactly(3, [0, 1]);
}
