//! Admitting and releasing.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use loom::{sync::Arc, thread};

use super::{assert_idle, limit, release};
use crate::limit::state::State;

#[test]
fn the_limit_holds_for_three_concurrent_requests() {
    loom::model(|| {
        let state = limit(1);
        let inside = std::sync::Arc::new(AtomicUsize::new(0));
        let visit = |state: Arc<State>, inside: std::sync::Arc<AtomicUsize>| {
            move || {
                if !state.enter() {
                    return;
                }
                assert_eq!(inside.fetch_add(1, SeqCst), 0, "one at a time");
                thread::yield_now();
                inside.fetch_sub(1, SeqCst);
                release(&state);
            }
        };
        let others: Vec<_> = (0..2)
            .map(|_| thread::spawn(visit(Arc::clone(&state), std::sync::Arc::clone(&inside))))
            .collect();
        visit(Arc::clone(&state), inside)();
        for other in others {
            other.join().unwrap();
        }
        assert_idle(&state);
    });
}
