//! Every interleaving of taking tokens and giving them back.

use loom::{sync::Arc, thread};

use super::*;

/// T = 10, a burst of three.
fn three() -> (LiveQuota, Bucket) {
    (Live::new([10, 20, 0, 0]), Bucket::new())
}

/// The arrival time that these tokens, in the order in which they were taken, lead to.
fn exact(taken_at: &[u64]) -> u64 {
    taken_at.iter().fold(0, |tat, now| tat.max(*now) + 10)
}

fn tat(bucket: &Bucket) -> u64 {
    Word(bucket.word.load(Acquire)).tat()
}

#[test]
fn two_threads_take_exactly_the_burst() {
    loom::model(|| {
        let shared = Arc::new(three());
        let take = |shared: &(LiveQuota, Bucket)| {
            (0..2)
                .filter(|_| shared.1.take(&shared.0, 0).is_ok())
                .count()
        };
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || take(&shared))
        };
        let mine = take(&shared);
        assert_eq!(mine + other.join().unwrap(), 3);
    });
}

#[test]
fn a_token_given_back_while_others_are_taken_is_not_refilled_twice() {
    loom::model(|| {
        let shared = Arc::new(three());
        let early = shared.1.take(&shared.0, 0).unwrap();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                assert!(shared.1.take(&shared.0, 15).is_ok());
                assert!(shared.1.take(&shared.0, 15).is_ok());
            })
        };
        shared.1.give_back(&shared.0, early);
        other.join().unwrap();
        assert!(tat(&shared.1) >= exact(&[15, 15]));
    });
}

#[test]
fn two_tokens_given_back_at_once_do_not_share_a_refill() {
    loom::model(|| {
        let shared = Arc::new(three());
        let first = shared.1.take(&shared.0, 0).unwrap();
        let second = shared.1.take(&shared.0, 0).unwrap();
        // By now the first is refilled, and half of the second.
        assert!(shared.1.take(&shared.0, 15).is_ok());
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.1.give_back(&shared.0, first))
        };
        shared.1.give_back(&shared.0, second);
        other.join().unwrap();
        assert!(tat(&shared.1) >= exact(&[15]));
    });
}

#[test]
fn tokens_given_back_at_the_moment_they_were_taken_all_come_back() {
    loom::model(|| {
        let shared = Arc::new(three());
        let (first, second) = (
            shared.1.take(&shared.0, 0).unwrap(),
            shared.1.take(&shared.0, 0).unwrap(),
        );
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.1.give_back(&shared.0, first);
                shared.1.take(&shared.0, 0).is_ok()
            })
        };
        shared.1.give_back(&shared.0, second);
        assert!(other.join().unwrap());
        assert_eq!(tat(&shared.1), exact(&[0]));
    });
}
