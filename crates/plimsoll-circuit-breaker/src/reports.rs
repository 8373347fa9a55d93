//! Events on their way to callbacks: in order, one at a time, and without a lock during a callback.
//!
//! A thread appends an event while it holds the lock of the state that changed, so the queue has the
//! order of the changes. After it has released that lock it delivers the queue, unless another
//! thread is doing so: that thread then delivers the new event as well. So a callback that changes
//! the state again does not wait for itself.

use std::{collections::VecDeque, sync::PoisonError};

use crate::sync::{Mutex, MutexGuard};

/// Most events that wait for a callback; later ones are dropped. 1,024 events are less than 100 KiB.
/// A callback that blocks then costs no further memory.
/// `transitions_behind_a_slow_callback_are_bounded_and_counted` fails when it differs.
const MAX_PENDING: usize = 1024;

/// The queue of events.
#[derive(Debug)]
pub(crate) struct Reports<T>(Mutex<Pending<T>>);

#[derive(Debug)]
struct Pending<T> {
    events: VecDeque<T>,
    /// Whether a thread is delivering.
    delivering: bool,
}

impl<T> Reports<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Pending {
            events: VecDeque::new(),
            delivering: false,
        }))
    }

    /// Appends an event. Returns `false` when the queue is full and the event was dropped.
    #[must_use]
    pub(crate) fn push(&self, event: T) -> bool {
        let mut pending = self.lock();
        let has_room = pending.events.len() < MAX_PENDING;
        if has_room {
            pending.events.push_back(event);
        }
        has_room
    }

    /// Passes all events to `report`, unless another thread is doing so. `report` must not panic.
    pub(crate) fn deliver(&self, report: impl Fn(&T)) {
        let mut pending = self.lock();
        if pending.delivering {
            return;
        }
        pending.delivering = true;
        while let Some(event) = pending.events.pop_front() {
            drop(pending);
            report(&event);
            pending = self.lock();
        }
        pending.delivering = false;
    }

    fn lock(&self) -> MutexGuard<'_, Pending<T>> {
        // No code panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::{
        sync::{Arc, Mutex, atomic::AtomicBool, atomic::Ordering::SeqCst},
        thread,
    };

    use super::*;

    /// Two threads change a state under its lock and report. Each change is reported once, in
    /// order, and no two reports overlap.
    #[test]
    fn reports_are_in_order_and_one_at_a_time() {
        loom::model(|| {
            let reports = Arc::new(Reports::new());
            let state = Arc::new(Mutex::new(0_u32));
            let reported = Arc::new(Mutex::new(Vec::new()));
            let reporting = Arc::new(AtomicBool::new(false));
            let change = {
                let (reports, state) = (Arc::clone(&reports), Arc::clone(&state));
                let (reported, reporting) = (Arc::clone(&reported), Arc::clone(&reporting));
                move || {
                    let mut state = state.lock().unwrap();
                    *state += 1;
                    assert!(reports.push(*state));
                    drop(state);
                    reports.deliver(|event| {
                        assert!(!reporting.swap(true, SeqCst), "two reports overlap");
                        reported.lock().unwrap().push(*event);
                        reporting.store(false, SeqCst);
                    });
                }
            };
            let other = thread::spawn(change.clone());
            change();
            other.join().unwrap();
            assert_eq!(*reported.lock().unwrap(), [1, 2]);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn an_event_during_a_report_is_delivered_after_it() {
        let reports = Reports::new();
        assert!(reports.push(1));
        let log = RefCell::new(Vec::new());
        reports.deliver(|event| {
            log.borrow_mut().push((*event, "start"));
            if *event == 1 {
                assert!(reports.push(2));
                reports.deliver(|_| unreachable!("the first delivery continues"));
            }
            log.borrow_mut().push((*event, "end"));
        });
        let expected = [(1, "start"), (1, "end"), (2, "start"), (2, "end")];
        assert_eq!(*log.borrow(), expected);
    }
}
