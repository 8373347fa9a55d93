//! Compares the whole policy with a simple model: a list that is searched.

use plimsoll_concurrency::Order;
use plimsoll_core::{Criticality, Priority};
use proptest::{prelude::*, sample::Index};

use crate::{Call, Stage, call_with, ranked};

#[derive(Debug, Clone)]
enum Step {
    Arrive(u8),
    /// A running or waiting request ends or is cancelled.
    End(Index),
    SetLimit(usize),
    SetLen(usize),
    /// Polls all calls.
    Ask,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0_u8..4).prop_map(Step::Arrive),
        4 => any::<Index>().prop_map(Step::End),
        1 => (1_usize..4).prop_map(Step::SetLimit),
        1 => (1_usize..5).prop_map(Step::SetLen),
        2 => Just(Step::Ask),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Waiting,
    Rejected,
}

/// Requests in order of arrival, with their levels.
struct Model {
    limit: usize,
    len: usize,
    newest_first: bool,
    requests: Vec<(u8, State)>,
}

impl Model {
    fn count(&self, state: State) -> usize {
        self.requests.iter().filter(|(_, it)| *it == state).count()
    }

    fn waiting(&self) -> impl DoubleEndedIterator<Item = (usize, u8)> {
        let all = self.requests.iter().enumerate();
        all.filter(|(_, (_, state))| *state == State::Waiting)
            .map(|(at, (level, _))| (at, *level))
    }

    fn arrive(&mut self, level: u8) {
        let lowest = self.waiting().map(|(_, level)| level).min();
        let state = match lowest {
            None if self.count(State::Running) < self.limit => State::Running,
            Some(lowest) if self.count(State::Waiting) >= self.len => {
                if lowest < level {
                    let (newest, _) = self.waiting().rfind(|(_, it)| *it == lowest).unwrap();
                    self.requests[newest].1 = State::Rejected;
                    State::Waiting
                } else {
                    State::Rejected
                }
            }
            _ => State::Waiting,
        };
        self.requests.push((level, state));
    }

    fn admit_waiters(&mut self) {
        while self.count(State::Running) < self.limit {
            let Some(highest) = self.waiting().map(|(_, level)| level).max() else {
                return;
            };
            let mut equals: Vec<_> = self.waiting().collect();
            equals.retain(|(_, level)| *level == highest);
            let next = if self.newest_first {
                equals.last()
            } else {
                equals.first()
            };
            let (next, _) = *next.unwrap();
            self.requests[next].1 = State::Running;
        }
    }
}

fn state(call: &mut Call<'_, crate::ByPriority>) -> State {
    call.is_waiting();
    match call.stage {
        Stage::Running(..) => State::Running,
        Stage::Waiting(_) => State::Waiting,
        Stage::Rejected(_) | Stage::Over => State::Rejected,
    }
}

proptest! {
    #[test]
    fn it_serves_rejects_and_evicts_as_a_sorted_list(
        newest_first in any::<bool>(),
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let _context = runtime.enter();
        let order = if newest_first { Order::Lifo } else { Order::Fifo };
        let limit = ranked(1, 3).order(order);
        let handle = limit.handle();
        let mut model = Model { limit: 1, len: 3, newest_first, requests: Vec::new() };
        let mut calls = Vec::new();
        for step in steps {
            match step {
                Step::Arrive(level) => {
                    let priority = Priority::new(Criticality::ALL[usize::from(level)]);
                    calls.push(call_with(&limit, priority.in_cohort(7)));
                    model.arrive(level);
                }
                Step::End(which) if !calls.is_empty() => {
                    let at = which.index(calls.len());
                    drop(calls.remove(at));
                    model.requests.remove(at);
                    model.admit_waiters();
                }
                Step::SetLimit(slots) => {
                    handle.set_limit(slots).unwrap();
                    model.limit = slots;
                    model.admit_waiters();
                }
                Step::SetLen(len) => {
                    handle.set_queue(len, crate::MS * 1000).unwrap();
                    model.len = len;
                }
                Step::Ask => {
                    for (call, (_, expected)) in calls.iter_mut().zip(&model.requests) {
                        prop_assert_eq!(state(call), *expected);
                    }
                }
                Step::End(_) => {}
            }
            prop_assert_eq!(handle.in_flight(), model.count(State::Running));
            prop_assert_eq!(handle.queued(), model.count(State::Waiting));
        }
        drop(calls);
        prop_assert_eq!((handle.in_flight(), handle.queued()), (0, 0));
    }
}
