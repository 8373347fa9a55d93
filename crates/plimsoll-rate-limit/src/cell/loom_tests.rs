//! Every interleaving of taking tokens and giving them back.

use loom::{sync::Arc, thread};
use plimsoll_core::Live;

use super::*;
use crate::refunds::Refunds;

/// A cell, and its quotas.
struct Shared<const N: usize> {
    quotas: [LiveQuota; N],
    tag: AtomicU64,
    words: [AtomicU64; N],
    refunds: Refunds<N>,
}

impl<const N: usize> Shared<N> {
    fn new(quotas: [[u64; 2]; N]) -> Arc<Self> {
        Arc::new(Self {
            quotas: quotas.map(|[increment, capacity]| Live::new([increment, capacity, 0, 0])),
            tag: AtomicU64::new(0),
            words: array::from_fn(|_| AtomicU64::new(0)),
            refunds: Refunds::new(),
        })
    }

    fn cell(&self) -> Cell<'_, N> {
        Cell {
            quotas: &self.quotas,
            tag: &self.tag,
            words: &self.words,
        }
    }

    fn take(&self, now: u64) -> Result<Token<N>, Empty> {
        self.cell().take(now, 1)
    }

    fn give_back(&self, token: Token<N>, admitted: u64, now: u64) {
        let ledger = Ledger {
            refunds: &self.refunds,
            owner: 0,
            leased: false,
        };
        self.cell().give_back(token, (admitted, now), ledger);
    }

    fn state(&self, quota: usize) -> u64 {
        Word(self.words[quota].load(Acquire)).state()
    }
}

/// T = 10, a burst of three.
fn three() -> Arc<Shared<1>> {
    Shared::new([[10, 30]])
}

/// The arrival time that these tokens, in the order in which they were taken, lead to.
fn exact(taken_at: &[u64]) -> u64 {
    taken_at.iter().fold(0, |tat, now| tat.max(*now) + 10)
}

#[test]
fn two_threads_take_exactly_the_burst() {
    loom::model(|| {
        let shared = three();
        let take = |shared: &Shared<1>| (0..2).filter(|_| shared.take(0).is_ok()).count();
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
        let shared = three();
        let early = shared.take(0).unwrap();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                assert!(shared.take(15).is_ok());
                assert!(shared.take(15).is_ok());
            })
        };
        shared.give_back(early, 0, 15);
        other.join().unwrap();
        assert!(shared.state(0) >= exact(&[15, 15]));
    });
}

#[test]
fn tokens_given_back_at_the_moment_they_were_taken_all_come_back() {
    loom::model(|| {
        let shared = three();
        let (first, second) = (shared.take(0).unwrap(), shared.take(0).unwrap());
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.give_back(first, 0, 0);
                shared.take(0).is_ok()
            })
        };
        shared.give_back(second, 0, 0);
        assert!(other.join().unwrap());
        assert_eq!(shared.state(0), exact(&[0]));
    });
}

/// Of two quotas one is gone sooner: who gets nothing of it has taken nothing of the other either.
#[test]
fn what_two_threads_are_refused_they_have_not_taken() {
    loom::model(|| {
        let shared = Shared::new([[10, 30], [10, 10]]);
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.take(0).is_ok())
        };
        let mine = shared.take(0).is_ok();
        assert_eq!(usize::from(mine) + usize::from(other.join().unwrap()), 1);
        assert_eq!((shared.state(0), shared.state(1)), (10, 10));
    });
}

/// A change of the quota while it is asked: the old one's token or the new one's, never more than either.
#[test]
fn a_change_takes_over_what_was_taken() {
    loom::model(|| {
        let shared = three();
        shared.take(0).unwrap();
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.quotas[0].set([20, 60, 0, 0]))
        };
        shared.take(0).unwrap();
        other.join().unwrap();
        shared.take(0).unwrap();
        assert_eq!(shared.state(0), 60);
        assert!(shared.take(0).is_err());
    });
}
