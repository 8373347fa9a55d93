//! Every interleaving of taking and refunding tokens.

use loom::{sync::Arc, thread};
use plimsoll_core::policy::Live;

use super::*;
use crate::refunds::{Ledger, Refunds};

/// The storage of a cell and its quotas.
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

    fn refund(&self, token: Token<N>, admitted: u64, now: u64) {
        let ledger = Ledger {
            refunds: &self.refunds,
            owner: 0,
            leased: false,
        };
        self.cell().refund(token, (admitted, now), ledger);
    }

    fn state(&self, quota: usize) -> u64 {
        Word(self.words[quota].load(Acquire)).state()
    }
}

/// T = 10, burst 3.
fn three() -> Arc<Shared<1>> {
    Shared::new([[10, 30]])
}

/// The arrival time after these tokens, in the order in which they were taken.
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
fn a_token_refunded_while_others_are_taken_is_not_refilled_twice() {
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
        shared.refund(early, 0, 15);
        other.join().unwrap();
        assert!(shared.state(0) >= exact(&[15, 15]));
    });
}

#[test]
fn tokens_refunded_when_they_were_taken_are_refunded_in_full() {
    loom::model(|| {
        let shared = three();
        let (first, second) = (shared.take(0).unwrap(), shared.take(0).unwrap());
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.refund(first, 0, 0);
                shared.take(0).is_ok()
            })
        };
        shared.refund(second, 0, 0);
        assert!(other.join().unwrap());
        assert_eq!(shared.state(0), exact(&[0]));
    });
}

/// One of two quotas is used up first. A request that it rejects takes nothing from the other.
#[test]
fn a_request_rejected_by_one_quota_takes_from_none() {
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

/// The quota is changed during a decision: one token is taken, of the old quota or of the new one.
#[test]
fn a_changed_quota_keeps_what_was_taken() {
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
