//! Every interleaving of a few requests, under loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p plimsoll-concurrency --lib --release`.

mod admitting;
mod eviction;
mod limit;
mod reclaiming;
mod waiting;

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::{Wake, Waker},
};

use loom::sync::Arc;
use plimsoll_core::policy::Ticket;
use tokio::time::Instant;

use crate::{
    limit::settings::Settings,
    limit::state::{Queued, State},
    queue::{Answer, Waiter},
};

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn limit(limit: usize) -> Arc<State> {
    Arc::new(State::new(std::sync::Arc::new(
        Settings::new(limit).unwrap(),
    )))
}

/// Releases a slot. No wait in these models ends by time.
fn release(state: &State) {
    state.release(Instant::now());
}

/// Takes a slot or a place in the queue, as the policy does.
fn arrive(state: &State) -> Option<Ticket> {
    if state.enter() {
        return None;
    }
    match state.enqueue(8, 0, Waiter::new(Instant::now(), None)) {
        Queued::Entered => None,
        Queued::Waiting(ticket) => Some(ticket),
        Queued::Full => panic!("there is room for eight"),
    }
}

/// All threads are done: a remaining waiter must have been granted a slot if one is free.
fn settle(state: &State, ticket: Option<Ticket>) {
    if let Some(ticket) = ticket {
        assert!(
            state.ask(ticket, Waker::noop()),
            "a slot is free while the first waiter has none"
        );
        assert_eq!(state.withdraw(ticket), Some(Answer::Granted));
    }
    release(state);
}

fn assert_idle(state: &State) {
    assert!(state.is_idle(), "no slot is taken and the mark is cleared");
    assert_eq!(state.queued(), 0);
}

/// Every interleaving with up to three preemptions: for three threads, all would be too many.
fn three_at_once(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}
