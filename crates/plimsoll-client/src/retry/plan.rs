//! What is known of a call before its first attempt.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    rules::Rules,
    stated::{self, Stated},
};
use crate::request::ReplayRequest;

/// A call's times, and what its request states; empty when that is nothing.
// Performance: one option, so that an empty plan is made in one step (`instructions`,
// `retry@accept`).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan(Option<Facts>);

#[derive(Debug, Clone, Copy)]
struct Facts {
    /// `None` without a timeout and a deadline: the clock is not read then.
    times: Option<Times>,
    stated: Stated,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The end of the call.
    pub(super) deadline: Option<Instant>,
    /// When the current attempt started.
    pub(super) started: Instant,
    /// When the current attempt, or the wait before it, ends at the latest.
    ends: Option<Instant>,
}

impl Plan {
    #[inline(never)]
    pub(super) fn new<Req: ReplayRequest>(rules: &Rules, req: &Req) -> Self {
        let (mut deadline, stated) = stated::deadline(req, Instant::now);
        // Performance: the clock is read only if a timeout or a deadline is set.
        if !rules.is_timed() && deadline.is_none() {
            let times = None;
            return Self(stated.is_any().then_some(Facts { times, stated }));
        }
        let started = Instant::now();
        if let Some(total) = rules.total_timeout {
            deadline = earlier(deadline, started.checked_add(total));
        }
        let mut times = Times {
            deadline,
            started,
            ends: None,
        };
        times.start(started, rules.attempt_timeout);
        Self(Some(Facts {
            times: Some(times),
            stated,
        }))
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn times(&self) -> Option<&Times> {
        self.0.as_ref()?.times.as_ref()
    }

    pub(super) fn stated(&self) -> Stated {
        self.0.map(|facts| facts.stated).unwrap_or_default()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.times()?.deadline
    }

    #[inline]
    pub(super) fn ends(&self) -> Option<Instant> {
        self.times()?.ends
    }

    /// Returns the time until the deadline.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        let deadline = self.deadline()?;
        Some(deadline.saturating_duration_since(now))
    }

    /// Starts an attempt.
    pub(super) fn start(&mut self, now: Instant, timeout: Option<Duration>) {
        if let Some(times) = self.0.as_mut().and_then(|facts| facts.times.as_mut()) {
            times.start(now, timeout);
        }
    }
}

impl Times {
    fn start(&mut self, now: Instant, timeout: Option<Duration>) {
        self.started = now;
        let end = timeout.and_then(|timeout| now.checked_add(timeout));
        self.ends = earlier(self.deadline, end);
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}
