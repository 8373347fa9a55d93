//! Controllers of a shedding threshold as published, for comparison with `AdaptiveShed`: the same
//! signal, and a threshold from the arrivals.

use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    ByExtension, Kind, LoadSignal, Outcome, Policy, Priority, Rejection,
    policy::{Prioritize, Verdict},
};
use plimsoll_load_shed::QueueDelay;
use tokio::time::Instant;

use super::{Hints, Limit, Stack, ours::in_front, shed::seen_inside};
use crate::backend::{Backend, Req};

const LEVELS: usize = Priority::LEVELS as usize;

/// DAGOR (`SoCC` 2018): a window of 1 s or 2,000 requests; then 5 % fewer than admitted, or 1 % of
/// the arrivals more.
pub(super) fn dagor(backend: Backend, _: Hints) -> (Stack, Limit) {
    let next: Next = |load, window, _| {
        if load > 1.0 {
            0.95 * window.admitted
        } else {
            window.admitted + 0.01 * window.total
        }
    };
    stack(backend, Duration::from_secs(1), 2_000.0, next)
}

/// A PI controller with Cinnamon's published gains, on the difference of the load from 1, every
/// 100 ms.
pub(super) fn pi(backend: Backend, _: Hints) -> (Stack, Limit) {
    let next: Next = |load, window, integral| {
        let error = (load - 1.0).clamp(-1.0, 1.0);
        *integral = (*integral + 1.4 * error * window.seconds).clamp(0.0, 0.995);
        (1.0 - (*integral + 0.1 * error).clamp(0.0, 0.995)) * window.total
    };
    stack(backend, Duration::from_millis(100), f64::INFINITY, next)
}

/// From the load, the last window and an integral: how many requests to admit in the next window.
type Next = fn(f64, &Window, &mut f64) -> f64;

struct Window {
    opened: Option<Instant>,
    seconds: f64,
    arrived: Box<[f64; LEVELS]>,
    total: f64,
    admitted: f64,
}

impl Window {
    fn opened(opened: Option<Instant>) -> Self {
        Self {
            opened,
            seconds: 0.0,
            arrived: Box::new([0.0; LEVELS]),
            total: 0.0,
            admitted: 0.0,
        }
    }

    /// The lowest threshold at which at most `wanted` of the requests that arrived are admitted.
    fn threshold(&self, wanted: f64) -> u16 {
        let mut left = wanted;
        for (level, count) in (0..Priority::LEVELS).zip(self.arrived.iter()).rev() {
            left -= count;
            if left < 0.0 {
                return (level + 1).min(Priority::LEVELS - 1);
            }
        }
        0
    }
}

struct Textbook {
    delay: QueueDelay,
    longest: Duration,
    most: f64,
    next: Next,
    state: Mutex<State>,
}

struct State {
    window: Window,
    integral: f64,
    threshold: u16,
}

fn stack(backend: Backend, longest: Duration, most: f64, next: Next) -> (Stack, Limit) {
    let policy = Textbook {
        delay: seen_inside(),
        longest,
        most,
        next,
        state: Mutex::new(State {
            window: Window::opened(None),
            integral: 0.0,
            threshold: 0,
        }),
    };
    (in_front(backend, policy), None)
}

impl Policy<Req> for Textbook {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<(), Infallible> {
        let level = ByExtension.priority(req).or_drawn().level();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let length = now - *state.window.opened.get_or_insert(now);
        if length >= self.longest || state.window.total >= self.most {
            state.window.seconds = length.as_secs_f64();
            let wanted = (self.next)(self.delay.load(), &state.window, &mut state.integral);
            state.threshold = state.window.threshold(wanted);
            state.window = Window::opened(Some(now));
        }
        state.window.arrived[usize::from(level)] += 1.0;
        state.window.total += 1.0;
        if level < state.threshold {
            return Verdict::Reject(Rejection::new("textbook", Kind::Full));
        }
        state.window.admitted += 1.0;
        Verdict::Admit(())
    }

    fn finish(&self, (): (), _: &Outcome) {}

    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}
