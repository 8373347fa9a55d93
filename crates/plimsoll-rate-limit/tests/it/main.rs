//! Tests through the public API.

mod calendar;
mod cells;
mod clock;
mod construction;
mod contract;
mod costs;
mod evictions;
mod exact;
mod flood;
mod keyed;
mod leaky_bucket;
mod live;
mod model;
mod one_key;
mod outcomes;
mod refunds;
mod several;
mod sliding_log;
mod sockets;
mod text;
mod threads;
mod warm_up;
mod windows;
mod wire;

use std::time::Duration;

use plimsoll_core::{Kind, Policy, policy::Verdict};
use plimsoll_rate_limit::{Quota, RateLimit, RateLimitPermit};
use tokio::time::Instant;

fn limit(quota: Quota) -> RateLimit {
    RateLimit::new(quota).expect("a valid quota")
}

/// One request: the permit, or the wait.
fn ask(limit: &RateLimit, now: Instant) -> Result<RateLimitPermit, Duration> {
    match limit.admit(&mut (), now) {
        Verdict::Admit(permit) => Ok(permit),
        Verdict::Reject(rejection) => {
            assert_eq!(rejection.policy(), RateLimit::NAME);
            assert_eq!(rejection.kind(), Kind::OverQuota);
            Err(rejection.retry_after().expect("a finite wait"))
        }
    }
}

/// The number of requests admitted at one time.
fn greedy(limit: &RateLimit, now: Instant) -> u64 {
    let mut admitted = 0;
    while ask(limit, now).is_ok() {
        admitted += 1;
        assert!(admitted < 1_000_000, "no limit");
    }
    admitted
}

/// Revokes a permit that was admitted at one time, at another time.
fn revoke(limit: &RateLimit, permit: RateLimitPermit, admitted: Instant, now: Instant) {
    Policy::<()>::revoke(limit, permit, admitted, now);
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
