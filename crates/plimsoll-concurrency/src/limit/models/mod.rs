//! Every interleaving of a few requests, under loom:
//! `RUSTFLAGS="--cfg loom" cargo test -p plimsoll-concurrency --lib --release`.

mod entering;
mod limit;
mod push_out;
mod reclaiming;
mod waiting;

use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::{Wake, Waker},
};

use loom::sync::Arc;
use plimsoll_core::Ticket;
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

/// Time plays no part in these models: no wait ends by it.
fn leave(state: &State) {
    state.leave(Instant::now());
}

/// Gets in as the policy does: at once, or into the queue.
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

/// Everybody has acted: whoever still waits must have been granted a slot when one is free.
fn settle(state: &State, ticket: Option<Ticket>) {
    if let Some(ticket) = ticket {
        assert!(
            state.ask(ticket, Waker::noop()),
            "a slot is free and the first in the queue waits"
        );
        assert_eq!(state.withdraw(ticket), Some(Answer::Granted));
    }
    leave(state);
}

fn nothing_is_left(state: &State) {
    assert!(state.is_idle(), "nobody is in flight and the mark is gone");
    assert_eq!(state.queued(), 0);
}

/// Three at once are too many for every interleaving: those with up to three pre-emptions.
fn three_at_once(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}
