//! Single steps of a cell, as other threads see them.

use plimsoll_core::policy::Live;

use super::*;
use crate::{
    refunds::{Ledger, Refunds},
    window::Window,
};

/// Nanoseconds per token.
const T: u64 = 100;
/// Ten tokens.
const TEN: [u64; 4] = [T, 10 * T, 0, 0];

struct Owned<const N: usize> {
    quotas: [LiveQuota; N],
    tag: AtomicU64,
    words: [AtomicU64; N],
    refunds: Refunds<N>,
}

impl<const N: usize> Owned<N> {
    fn new(quotas: [[u64; 4]; N]) -> Self {
        Self {
            quotas: quotas.map(Live::new),
            tag: AtomicU64::new(0),
            words: array::from_fn(|_| AtomicU64::new(0)),
            refunds: Refunds::new(),
        }
    }

    fn cell(&self) -> Cell<'_, N> {
        Cell {
            quotas: &self.quotas,
            tag: &self.tag,
            words: &self.words,
        }
    }

    fn take(&self, cost: u32) -> Token<N> {
        self.cell().take(0, cost).expect("enough tokens")
    }

    fn refund(&self, token: Token<N>, now: u64) {
        let ledger = Ledger {
            refunds: &self.refunds,
            owner: 0,
            leased: false,
        };
        self.cell().refund(token, (0, now), ledger);
    }

    fn state(&self) -> u64 {
        Word(self.words[0].load(Acquire)).state()
    }

    /// Changes the quota, as the first decision after it does.
    fn change(&self, to: [u64; 4]) {
        self.quotas[0].set(to);
        self.cell().refresh(0);
    }
}

#[test]
fn tokens_of_the_first_quota_are_returned_when_the_second_has_changed() {
    let owned = Owned::new([TEN, TEN]);
    let taken = Word::new(0, 3 * T);
    owned.words[0].store(taken.0, std::sync::atomic::Ordering::Release);
    owned.cell().undo(&[taken], 0, 3);
    assert_eq!(owned.state(), 0);
    assert_eq!(owned.cell().refunded(), 3, "tokens taken since move up");
    owned.cell().undo(&[], 0, 3);
    assert_eq!(owned.cell().refunded(), 3, "nothing was taken");
}

#[test]
fn the_newest_token_is_refunded_as_if_it_had_never_been_taken() {
    let owned = Owned::new([TEN]);
    let (first, second) = (owned.take(1), owned.take(1));
    owned.refund(second, 0);
    assert_eq!((owned.state(), owned.cell().refunded()), (T, 0));
    let third = owned.take(1);
    owned.refund(first, 0);
    assert_eq!((owned.state(), owned.cell().refunded()), (T, 1));
    owned.refund(third, 0);
    assert_eq!(owned.state(), 0);
}

#[test]
fn a_rate_that_was_replaced_before_a_token_was_taken_does_not_shrink_its_refund() {
    let owned = Owned::new([[T / 10, T, 0, 0]]);
    owned.change(TEN);
    let token = owned.take(1);
    owned.change([2 * T, 20 * T, 0, 0]);
    assert_eq!(owned.state(), 2 * T);
    // Half of the token has been refilled, at the rate under which it was taken.
    owned.refund(token, T / 2);
    assert_eq!(owned.state(), T);
}

#[test]
fn units_of_a_window_that_ended_at_another_time_are_not_refunded() {
    let words = |period| {
        let window = Terms::Window(Window::new(10, period, false, 0));
        let [head, tail] = window.to_words(None, None);
        [head, tail, 10, period]
    };
    for (period, left) in [(60 * T, 10), (30 * T, 7)] {
        let owned = Owned::new([words(60 * T)]);
        let token = owned.take(3);
        owned.change(words(period));
        owned.refund(token, 0);
        assert_eq!(owned.cell().remaining(Share::FULL, 0), left);
    }
}
