//! Loom models of the budget's atomics.

use loom::{sync::Arc, thread};

use super::{bank::Bank, grpc::Tokens, recent::Recent, unit::RETRY};

#[test]
fn two_threads_never_withdraw_more_than_the_bank_holds() {
    loom::model(|| {
        // One retry, half of it in each shard.
        let bank = Arc::new(Bank::with(RETRY, 2));
        let other = Arc::clone(&bank);
        let thread = thread::spawn(move || other.withdraw_from(1));
        let taken = u64::from(bank.withdraw_from(0)) + u64::from(thread.join().unwrap());
        assert!(taken <= 1);
        assert_eq!(bank.tokens(), RETRY - taken * RETRY, "nothing is lost");
    });
}

#[test]
fn deposits_race_with_withdrawals_and_nothing_is_lost_or_made() {
    loom::model(|| {
        let bank = Arc::new(Bank::with(2 * RETRY, 2));
        assert!(bank.withdraw_from(0) && bank.withdraw_from(0));
        let other = Arc::clone(&bank);
        let thread = thread::spawn(move || other.deposit_from(1, RETRY));
        let taken = u64::from(bank.withdraw_from(0));
        thread.join().unwrap();
        assert_eq!(bank.tokens(), RETRY - taken * RETRY);
    });
}

#[test]
fn a_bank_is_never_above_its_maximum() {
    loom::model(|| {
        let bank = Arc::new(Bank::with(RETRY, 1));
        assert!(bank.withdraw_from(0));
        let other = Arc::clone(&bank);
        let thread = thread::spawn(move || other.deposit_from(0, RETRY * 3 / 4));
        bank.deposit_from(0, RETRY * 3 / 4);
        thread.join().unwrap();
        assert_eq!(bank.tokens(), RETRY);
    });
}

#[test]
fn a_bank_is_noted_as_full_only_if_it_is() {
    loom::model(|| {
        let bank = Arc::new(Bank::with(2 * RETRY, 2));
        assert!(bank.withdraw_from(0) && !bank.is_full());
        let other = Arc::clone(&bank);
        // Fills the bank and finds it full, while a retry is taken from one shard.
        let thread = thread::spawn(move || other.deposit_from(0, 2 * RETRY));
        bank.withdraw_from(1);
        thread.join().unwrap();
        assert!(!bank.is_full() || bank.tokens() == 2 * RETRY);
    });
}

#[test]
fn grpc_tokens_count_every_failure() {
    loom::model(|| {
        let tokens = Arc::new(Tokens::new(3, 1.0).unwrap());
        let other = Arc::clone(&tokens);
        let thread = thread::spawn(move || other.failure());
        let allowed = u8::from(tokens.failure()) + u8::from(thread.join().unwrap());
        assert_eq!(allowed, 1, "two tokens are above half, one is not");
        assert!(!tokens.allow());
    });
}

#[test]
fn two_threads_take_the_last_recent_retry_once() {
    loom::model(|| {
        let recent = Recent::new(RETRY, 0, std::time::Duration::from_secs(10));
        let recent = Arc::new(recent);
        recent.success_in(20);
        let other = Arc::clone(&recent);
        let thread = thread::spawn(move || other.take_in(20));
        let taken = u8::from(recent.take_in(20)) + u8::from(thread.join().unwrap());
        assert_eq!(taken, 1);
    });
}
