//! What is known of a call before its first attempt.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    rules::Rules,
    stated::{self, Stated},
};
use crate::request::ReplayRequest;

/// A call's times, and what its request states.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plan {
    /// The end of the call.
    pub(super) deadline: Option<Instant>,
    /// When the current attempt started, if the clock was read.
    pub(super) started: Option<Instant>,
    /// When the current attempt, or the wait before it, ends at the latest.
    pub(super) ends: Option<Instant>,
    pub(super) stated: Stated,
}

impl Plan {
    #[inline(never)]
    pub(super) fn new<Req: ReplayRequest>(rules: &Rules, req: &Req) -> Self {
        let (mut deadline, stated) = stated::deadline(req, Instant::now);
        // Performance: the clock is read only if a timeout or a deadline is set.
        let started = (rules.is_timed() || deadline.is_some()).then(Instant::now);
        if let (Some(start), Some(total)) = (started, rules.total_timeout) {
            deadline = earlier(deadline, start.checked_add(total));
        }
        let mut plan = Self {
            deadline,
            started,
            stated,
            ..Self::default()
        };
        if let Some(start) = started {
            plan.start(start, rules.attempt_timeout);
        }
        plan
    }

    /// Starts an attempt.
    pub(super) fn start(&mut self, now: Instant, timeout: Option<Duration>) {
        self.started = Some(now);
        let end = timeout.and_then(|timeout| now.checked_add(timeout));
        self.ends = earlier(self.deadline, end);
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    [a, b].into_iter().flatten().min()
}
