//! Routes of different speed share the limit, and their mix changes: windows made by hand.

use std::time::Duration;

use plimsoll_concurrency::{Adaptive, Algorithm as _, LimitReason, Window};
use tokio::time::Instant;

use crate::published;

/// Always busy.
const WORKERS: f64 = 40.0;
/// No-load latency of a call, before the mix changes.
const USUAL: Duration = Duration::from_millis(10);

/// A saturated service of which half of the requests are rejected, and its limit.
struct Saturated {
    adaptive: Adaptive,
    limit: u32,
    now: Instant,
    /// Whether windows contain the no-load latency of the routes of their calls.
    told_apart: bool,
}

impl Saturated {
    fn new(told_apart: bool) -> Self {
        fastrand::seed(1); // the intervals between probes are random
        let adaptive = Adaptive::new();
        Self {
            limit: adaptive.initial(),
            adaptive,
            now: Instant::now(),
            told_apart,
        }
    }

    /// A window of calls with this no-load latency.
    fn window(&mut self, at_rest: Duration) -> LimitReason {
        let limit = f64::from(self.limit);
        let busy = limit.min(WORKERS);
        let (size, began) = (self.adaptive.window(), self.now);
        let per_second = busy / at_rest.as_secs_f64();
        let enough = Duration::from_secs_f64(f64::from(size.samples) / per_second);
        self.now += size.time.max(enough);
        let answered = ((self.now - began).as_secs_f64() * per_second) as u64;
        let change = self.adaptive.update(&Window {
            began,
            ended: self.now,
            answered,
            latency: at_rest.mul_f64(limit / busy),
            deviation: at_rest / 10,
            max_in_flight: self.limit,
            mean_in_flight: limit,
            limit: self.limit,
            without_slot: 2 * answered,
            rejected: answered,
            route_latency: self.told_apart.then_some(at_rest),
            ..published::window(1, 1)
        });
        self.limit = change.limit;
        change.reason
    }

    /// Runs until the limit has settled and a probe has just ended: the next one is far away.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.window(USUAL);
        }
        while self.window(USUAL) != LimitReason::Probe {}
        while self.window(USUAL) == LimitReason::Probe {}
    }

    /// The lowest and the highest limit of two alternations.
    fn range(&mut self, at_rest: Duration) -> (u32, u32) {
        let mut limits = Vec::new();
        while limits.len() < 8 {
            // A probe goes below on purpose.
            if self.window(at_rest) != LimitReason::Probe {
                limits.push(self.limit);
            }
        }
        let (least, most) = (limits.iter().min(), limits.iter().max());
        (*least.unwrap(), *most.unwrap())
    }
}

#[test]
fn a_mix_of_slower_or_faster_routes_leaves_the_limit_where_it_was_when_they_are_told_apart() {
    for other in [5 * USUAL, 2 * USUAL, USUAL / 5] {
        let mut service = Saturated::new(true);
        service.settle();
        let (least, most) = service.range(USUAL);
        assert!(f64::from(least) >= WORKERS, "{least} to {most}");
        for at_rest in [other, USUAL] {
            let (least_then, most_then) = service.range(at_rest);
            assert!(
                least_then + 1 >= least && most_then <= most + 1,
                "{least_then} to {most_then}, and {least} to {most} before: {other:?}"
            );
        }
    }
}

/// So that the test above could fail: slower calls may as well be those of a service that has lost
/// most of its workers. A probe finds out, and costs throughput.
#[test]
fn a_mix_of_slower_routes_that_are_not_told_apart_costs_a_probe() {
    let mut service = Saturated::new(false);
    service.settle();
    let (least, _) = service.range(USUAL);
    let limits = [(); 8].map(|()| {
        service.window(5 * USUAL);
        service.limit
    });
    let (least_then, most_then) = (*limits.iter().min().unwrap(), *limits.iter().max().unwrap());
    assert!(least_then + 1 < least, "{least_then}, and {least} before");
    assert!(f64::from(least_then) >= WORKERS / 2.0, "{least_then}");
    assert!(f64::from(most_then) >= WORKERS, "{most_then}");
}
