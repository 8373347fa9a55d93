//! Tests through the public API, with a real Redis.

mod calendar;
mod changes;
#[cfg(feature = "cluster")]
mod cluster;
mod contract;
mod exact;
mod failover;
mod failures;
mod figures;
mod fleet;
mod lease;
mod logging;
mod nonsense;
mod one_key;
mod refunds;
mod replicas;
mod scripts;
#[cfg(feature = "sentinel")]
mod sentinel;
mod server;
mod settings;
#[cfg(feature = "tls")]
mod tls;

use std::{future::poll_fn, pin::pin, time::Duration};

use plimsoll_core::{Policy, Rejection, policy::Verdict};
use plimsoll_redis::{RedisRateLimit, RedisRateLimitBuilder, RedisServer};
use tokio::time::Instant;

use crate::server::Server;

/// A window that does not end during a test.
const LONG: Duration = Duration::from_secs(364 * 24 * 60 * 60);

/// A request with the name of its caller.
#[derive(Clone, Copy)]
struct Caller(&'static str);

/// A limit in this server, with a deadline that a busy machine can keep.
fn builder(server: &Server) -> RedisRateLimitBuilder {
    RedisRateLimit::builder(RedisServer::new(server.url()).expect("a URL"))
        .deadline(Duration::from_secs(1))
}

/// One request that waits for the answer, as in a gate.
async fn ask<Req, P: Policy<Req>>(policy: &P, req: &mut Req) -> Result<P::Permit, Rejection> {
    match policy.admit(req, Instant::now()) {
        Verdict::Admit(permit) => Ok(permit),
        Verdict::Reject(rejection) => Err(rejection),
        Verdict::Wait(wait) => {
            let mut wait = pin!(wait);
            poll_fn(|cx| policy.poll_wait(wait.as_mut(), req, Instant::now(), cx)).await
        }
    }
}

/// Waits for another process, up to ten seconds for a busy machine.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(ms(10)).await;
    }
    panic!("not within ten seconds: {what}");
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
