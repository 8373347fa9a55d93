//! Any history, compared with a simple model.

use std::collections::VecDeque;

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerPermit};
use plimsoll_core::Class;
use proptest::prelude::*;

use super::{Bench, millis};

const WINDOW: usize = 6;
const MIN_CALLS: usize = 3;
const RATE: f64 = 0.5;
const OPEN_MS: u64 = 50;
const PROBES: usize = 2;
const SUCCESSES: u32 = 3;
const PROBE_TIMEOUT_MS: u64 = 70;

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Ask,
    /// Ends one of the running calls.
    End(usize, Class),
    Revoke(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let class = prop_oneof![
        4 => Just(Class::Success),
        4 => Just(Class::Failure),
        1 => Just(Class::Overloaded),
        1 => Just(Class::Ignored),
        1 => Just(Class::Cancelled),
    ];
    let step = prop_oneof![
        2 => (0_u64..40).prop_map(Step::Pass),
        5 => Just(Step::Ask),
        4 => (any::<usize>(), class).prop_map(|(call, class)| Step::End(call, class)),
        1 => any::<usize>().prop_map(Step::Revoke),
    ];
    proptest::collection::vec(step, 0..400)
}

#[derive(Debug, PartialEq)]
enum State {
    Closed(VecDeque<bool>),
    Open {
        until: u64,
    },
    HalfOpen {
        out: Vec<(u64, u64)>,
        succeeded: u32,
    },
}

struct Model {
    state: State,
    generation: u64,
    now: u64,
    asked: u64,
}

impl Model {
    fn go(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }

    /// The generation and the number of the call that is admitted.
    fn ask(&mut self) -> Option<(u64, u64)> {
        self.asked += 1;
        if matches!(self.state, State::Open { until } if self.now >= until) {
            self.go(State::HalfOpen {
                out: Vec::new(),
                succeeded: 0,
            });
        }
        match &mut self.state {
            State::Closed(_) => {}
            State::Open { .. } => return None,
            State::HalfOpen { out, .. } => {
                out.retain(|(_, since)| self.now - since < PROBE_TIMEOUT_MS);
                if out.len() == PROBES {
                    return None;
                }
                out.push((self.asked, self.now));
            }
        }
        Some((self.generation, self.asked))
    }

    fn end(&mut self, (generation, call): (u64, u64), class: Option<Class>) {
        if generation != self.generation {
            return;
        }
        let failed = match class {
            Some(Class::Success | Class::Ignored) => Some(false),
            Some(Class::Failure | Class::Overloaded) => Some(true),
            _ => None,
        };
        let open = State::Open {
            until: self.now + OPEN_MS,
        };
        match &mut self.state {
            State::Closed(window) => {
                let Some(failed) = failed else { return };
                window.push_back(failed);
                if window.len() > WINDOW {
                    window.pop_front();
                }
                let failures = window.iter().filter(|failed| **failed).count();
                if window.len() >= MIN_CALLS && failures as f64 >= RATE * window.len() as f64 {
                    self.go(open);
                }
            }
            State::Open { .. } => unreachable!("nothing is admitted while open"),
            State::HalfOpen { out, succeeded } => {
                out.retain(|(number, _)| *number != call);
                match failed {
                    Some(true) => self.go(open),
                    Some(false) => {
                        *succeeded += 1;
                        if *succeeded == SUCCESSES {
                            self.go(State::Closed(VecDeque::new()));
                        }
                    }
                    None => {}
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn the_breaker_matches_the_model(steps in steps()) {
        let breaker = CircuitBreaker::builder()
            .window(WINDOW as u32)
            .min_calls(MIN_CALLS as u32)
            .failure_rate(RATE)
            .open_for(millis(OPEN_MS))
            .jitter(0.0)
            .backoff(1.0, millis(OPEN_MS))
            .ramp(None)
            .probes(PROBES as u32)
            .successes(SUCCESSES)
            .probe_timeout(millis(PROBE_TIMEOUT_MS));
        let mut bench = Bench::new(breaker.build().unwrap());
        let mut model =
            Model { state: State::Closed(VecDeque::new()), generation: 0, now: 0, asked: 0 };
        let mut out: Vec<(CircuitBreakerPermit, (u64, u64))> = Vec::new();

        for step in steps {
            match step {
                Step::Pass(ms) => {
                    bench.pass(millis(ms));
                    model.now += ms;
                }
                Step::Ask => match (bench.ask(), model.ask()) {
                    (Ok(permit), Some(call)) => {
                        prop_assert_eq!(permit.generation(), call.0);
                        out.push((permit, call));
                    }
                    (Err(rejection), None) => {
                        // Without other events, a retry after the hint is admitted and an earlier
                        // one is not.
                        prop_assert!(rejection.retry_after().is_some_and(|wait| !wait.is_zero()));
                    }
                    (real, expected) => prop_assert!(false, "{real:?}, but expected {expected:?}"),
                },
                Step::End(index, class) if !out.is_empty() => {
                    let (permit, call) = out.swap_remove(index % out.len());
                    bench.end(permit, class);
                    model.end(call, Some(class));
                }
                Step::Revoke(index) if !out.is_empty() => {
                    let (permit, call) = out.swap_remove(index % out.len());
                    bench.revoke(permit);
                    model.end(call, None);
                }
                Step::End(..) | Step::Revoke(_) => {}
            }
            let expected = match model.state {
                State::Closed(_) => "closed",
                State::Open { .. } => "open",
                State::HalfOpen { .. } => "half-open",
            };
            prop_assert_eq!(bench.state(), expected);
            prop_assert_eq!(bench.breaker.handle().generation(), model.generation);
            if let State::Closed(window) = &model.state {
                let failures = window.iter().filter(|failed| **failed).count();
                let rate = (window.len() >= MIN_CALLS).then(|| failures as f64 / window.len() as f64);
                prop_assert_eq!(bench.breaker.handle().failure_rate(), rate);
            }
        }
    }
}
