//! Interleavings of spending, taking and returning leases, with up to three preemptions. More would
//! take hours.

use loom::{sync::Arc, thread};
use plimsoll_core::policy::Live;

use super::*;
use crate::terms::LiveQuota;

struct Bucket {
    quotas: [LiveQuota; 1],
    tag: AtomicU64,
    words: [AtomicU64; 1],
    leases: Leases,
}

/// T = 10, a burst of 64 of which `left` tokens are left, and two leases of up to four tokens.
fn bucket(left: u64) -> Arc<Bucket> {
    let bucket = Bucket {
        quotas: [Live::new([10, 640, 0, 0])],
        tag: AtomicU64::new(0),
        words: [AtomicU64::new(Word::new(0, 640 - left * 10).0)],
        leases: Leases::new(2).unwrap(),
    };
    Arc::new(bucket)
}

impl Bucket {
    fn take(&self, shard: usize) -> bool {
        let cell = Cell {
            quotas: &self.quotas,
            tag: &self.tag,
            words: &self.words,
        };
        self.leases.take_in(shard, cell, 0, 1).is_ok()
    }
}

fn exactly(tokens: usize, shards: [usize; 2]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let bucket = bucket(tokens as u64);
        assert!(
            bucket.take(0),
            "a token of the first lease, or of the bucket"
        );
        let other = {
            let bucket = Arc::clone(&bucket);
            thread::spawn(move || {
                usize::from(bucket.take(shards[1])) + usize::from(bucket.take(shards[1]))
            })
        };
        let mine = usize::from(bucket.take(shards[0])) + usize::from(bucket.take(shards[0]));
        let both = 1 + mine + other.join().unwrap();
        let rest = (0..tokens + 1).filter(|_| bucket.take(0)).count();
        assert_eq!(both + rest, tokens);
    });
}

#[test]
fn two_threads_spend_one_lease_once() {
    exactly(6, [0, 0]);
}

#[test]
fn a_lease_returned_to_the_bucket_is_spent_once() {
    exactly(5, [0, 1]);
}

#[test]
fn no_token_is_lost_when_too_few_are_left_for_a_lease() {
    exactly(3, [0, 1]);
}
