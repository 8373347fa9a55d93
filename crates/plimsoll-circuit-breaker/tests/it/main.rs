//! Behaviour through the public API.

mod ages;
mod answers;
mod bursts;
mod by_hand;
mod compared;
mod contract;
mod figures;
#[cfg(feature = "serde")]
mod from_file;
mod hints;
mod jitter;
mod keyed;
mod late;
mod model;
mod probes;
mod ramp;
mod settings;
mod slow;
mod stack;
mod states;
mod thousand;
mod time_window;
mod timeouts;
mod transitions;
mod waits;
mod watched;

use std::time::Duration;

use plimsoll_circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerPermit};
use plimsoll_core::{Class, Outcome, Policy as _, Rejection, policy::Verdict};
use tokio::time::Instant;

/// A breaker with a clock that only the test moves.
struct Bench {
    breaker: CircuitBreaker,
    now: Instant,
}

impl Bench {
    fn new(breaker: CircuitBreaker) -> Self {
        Self {
            breaker,
            now: Instant::now(),
        }
    }

    /// A breaker that opens at two failures of the last four calls, for exactly one second, with
    /// two probes at a time and two successes, without growth and ramp.
    fn small() -> Self {
        Self::new(small().build().unwrap())
    }

    /// A small breaker that has just opened.
    fn open() -> Self {
        Self::opened(small())
    }

    /// A breaker that two failures have just opened.
    fn opened(builder: CircuitBreakerBuilder) -> Self {
        let bench = Self::new(builder.build().unwrap());
        bench.call(Class::Failure);
        bench.call(Class::Failure);
        assert_eq!(bench.state(), "open");
        bench
    }

    /// A small breaker whose first probe is due.
    fn due() -> Self {
        Self::due_with(small())
    }

    /// A breaker that two failures have opened for a second, and whose first probe is due.
    fn due_with(builder: CircuitBreakerBuilder) -> Self {
        let mut bench = Self::opened(builder);
        bench.now += secs(1);
        bench
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn ask(&self) -> Result<CircuitBreakerPermit, Rejection> {
        match self.breaker.admit(&mut (), self.now) {
            Verdict::Admit(permit) => Ok(permit),
            Verdict::Reject(rejection) => Err(rejection),
            Verdict::Wait(wait) => match wait {},
        }
    }

    /// The retry hint of a rejection.
    fn rejected(&self) -> Option<Duration> {
        self.ask().expect_err("a rejection").retry_after()
    }

    fn end(&self, permit: CircuitBreakerPermit, class: Class) {
        self.end_after(permit, class, Duration::ZERO);
    }

    fn end_after(&self, permit: CircuitBreakerPermit, class: Class, latency: Duration) {
        let outcome = Outcome::new(class, latency, self.now);
        plimsoll_core::Policy::<()>::finish(&self.breaker, permit, &outcome);
    }

    fn revoke(&self, permit: CircuitBreakerPermit) {
        plimsoll_core::Policy::<()>::revoke(&self.breaker, permit, Instant::now(), Instant::now());
    }

    /// A call from start to end.
    fn call(&self, class: Class) {
        self.end(self.ask().expect("admitted"), class);
    }

    fn state(&self) -> &'static str {
        self.breaker.handle().state().as_str()
    }
}

/// The settings of [`Bench::small`].
fn small() -> CircuitBreakerBuilder {
    CircuitBreaker::builder()
        .window(4)
        .min_calls(2)
        .failure_rate(0.5)
        .open_for(secs(1))
        .jitter(0.0)
        .backoff(1.0, secs(1))
        .probes(2)
        .successes(2)
        .probe_timeout(secs(10))
        .ramp(None)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
