//! Several replicas of one limit, in this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use plimsoll_core::{Kind, Missing};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::{
    LeaseSettings, LeasedRateLimit, OnFailure, RedisHandle, RedisRateLimit, RedisRateLimitBuilder,
    RedisServer,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{LONG, ask, ms, until};

pub(crate) const REPLICAS: u32 = 3;

pub(crate) type ByNumber = fn(&u64) -> Option<u64>;

/// A limit of `count` requests per key, with a deadline that a busy machine usually keeps.
pub(crate) fn builder(server: &RedisServer, count: u32) -> RedisRateLimitBuilder<ByNumber> {
    let by_number: ByNumber = |key| Some(*key);
    RedisRateLimit::builder(server.clone())
        .quota(Quota::new(count, LONG).fixed_window().named("q"))
        // Never the tightest: a second key in Redis, in the same slot.
        .quota(Quota::new(count + 1, LONG).fixed_window().named("r"))
        .per_key(by_number, Missing::Share, 10_000)
        .replicas(REPLICAS)
        .deadline(ms(200))
}

/// Prints a figure of `docs/redis.md`, and checks its bound.
#[allow(clippy::print_stdout)]
pub(crate) fn shared_again(failover: &str, after: Duration, at_most: Duration) {
    println!("{failover}: shared again after {after:?}");
    assert!(after < at_most, "{failover}: shared again after {after:?}");
}

/// Waits for all connections, up to ten seconds.
pub(crate) async fn connected(handle: &RedisHandle) {
    let waited = timeout(ms(10_000), handle.wait_connected()).await;
    assert!(waited.is_ok(), "{handle:?}");
}

/// Replicas that share `count` requests per key.
pub(crate) struct Fleet {
    pub(crate) limits: Vec<Arc<RedisRateLimit<ByNumber>>>,
    count: u32,
    /// A key that was not used before.
    fresh: u64,
}

impl Fleet {
    pub(crate) async fn connect(server: &RedisServer, count: u32) -> Self {
        let mut limits = Vec::new();
        for _ in 0..REPLICAS {
            let limit = builder(server, count).connect().expect("valid");
            connected(&limit.handle()).await;
            limits.push(Arc::new(limit));
        }
        Self {
            limits,
            count,
            fresh: 1 << 32,
        }
    }

    pub(crate) fn sum(&self, count: impl Fn(&RedisHandle) -> u64) -> u64 {
        self.limits.iter().map(|limit| count(&limit.handle())).sum()
    }

    /// The connections that are up, of all replicas.
    pub(crate) fn connected(&self) -> usize {
        let handles = self.limits.iter().map(|limit| limit.handle());
        handles.map(|handle| handle.connected()).sum()
    }

    /// Sends more requests than the quota for each of `keys` new keys, through all replicas at
    /// once. Returns whether Redis decided all of them, and then checks that the limit was exact.
    pub(crate) async fn is_exact(&mut self, keys: u64) -> bool {
        let local = self.sum(RedisHandle::local);
        let mut exact = true;
        for key in self.fresh..self.fresh + keys {
            let mut callers = JoinSet::new();
            for limit in &self.limits {
                let (limit, count) = (Arc::clone(limit), self.count);
                callers.spawn(async move {
                    let mut admitted = 0;
                    for _ in 0..count {
                        admitted += u32::from(ask(&*limit, &mut key.clone()).await.is_ok());
                    }
                    admitted
                });
            }
            let admitted: u32 = callers.join_all().await.iter().sum();
            exact &= admitted == self.count;
        }
        self.fresh += keys;
        let by_redis = self.sum(RedisHandle::local) == local;
        assert!(exact || !by_redis, "decided by Redis alone, and not exact");
        by_redis
    }

    /// Waits until decisions are shared again: Redis decided `keys` new keys in a row alone, and
    /// exactly. Returns how long that took.
    pub(crate) async fn wait_exact(&mut self, keys: u64) -> Duration {
        let start = Instant::now();
        while !self.is_exact(keys).await {
            assert!(start.elapsed() < ms(15_000), "still not shared: {self:?}");
            sleep(ms(20)).await;
        }
        start.elapsed()
    }

    /// Starts callers that send requests for many keys until the load is stopped.
    pub(crate) fn load(&self) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for (n, limit) in (0..).zip(&self.limits) {
            let (limit, stop) = (Arc::clone(limit), Arc::clone(&stop));
            callers.spawn(async move {
                let mut key = n;
                while !stop.load(SeqCst) {
                    key = (key + 7) % 1000;
                    _ = ask(&*limit, &mut key.clone()).await;
                    sleep(ms(2)).await;
                }
            });
        }
        Load { callers, stop }
    }

    pub(crate) async fn wait_connected(&self) {
        until("all are connected", || async {
            self.connected() == 2 * self.limits.len()
        })
        .await;
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let handles = self.limits.iter().map(|limit| limit.handle());
        f.debug_list().entries(handles).finish()
    }
}

pub(crate) struct Load {
    callers: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

impl Load {
    pub(crate) async fn stop(self) {
        self.stop.store(true, SeqCst);
        self.callers.join_all().await;
    }
}

/// Replicas that lease tokens, and reject all requests while Redis is down.
pub(crate) struct Leased {
    limits: Vec<LeasedRateLimit<ByNumber>>,
    keys: u64,
    count: u32,
}

impl Leased {
    const LEASE: LeaseSettings = LeaseSettings::new(20).low_water(10).lifetime(ms(60_000));
    /// What all replicas may hold for a key.
    pub(crate) const MOST: u64 = REPLICAS as u64 * Self::LEASE.most();

    pub(crate) async fn connect(server: &RedisServer, keys: u64, count: u32) -> Self {
        let mut limits = Vec::new();
        for _ in 0..REPLICAS {
            let limit = builder(server, count)
                .on_failure(OnFailure::Closed)
                .lease(Self::LEASE)
                .expect("valid");
            connected(&limit.handle()).await;
            limits.push(limit);
        }
        Self {
            limits,
            keys,
            count,
        }
    }

    /// Sends requests until Redis has nothing left of any key, and calls `fail` when a third is
    /// spent. Returns how many requests of each key were admitted.
    pub(crate) async fn spend_all(self, fail: impl FnOnce()) -> Vec<u64> {
        let Self {
            limits,
            keys,
            count,
        } = self;
        let handles: Vec<_> = limits.iter().map(LeasedRateLimit::handle).collect();
        let mut callers = JoinSet::new();
        for limit in limits {
            callers.spawn(async move {
                let (start, handle) = (Instant::now(), limit.handle());
                let mut admitted = vec![0; keys as usize];
                let mut over = vec![false; keys as usize];
                while over.contains(&false) {
                    assert!(start.elapsed() < ms(30_000), "{handle:?}: {admitted:?}");
                    for key in 0..keys {
                        let n = key as usize;
                        match ask(&limit, &mut key.clone()).await {
                            Ok(_) => admitted[n] += 1,
                            Err(rejection) => over[n] = rejection.kind() == Kind::OverQuota,
                        }
                    }
                    sleep(ms(1)).await;
                }
                admitted
            });
        }
        until("a third is spent", || async {
            let spent = handles.iter().map(|of| of.admitted() + of.leased());
            spent.sum::<u64>() > keys * u64::from(count) / 3
        })
        .await;
        fail();
        let admitted = callers.join_all().await;
        let leased: u64 = handles.iter().map(RedisHandle::leased).sum();
        assert!(leased > keys * u64::from(count) / 2, "leases were used");
        let lost = handles
            .iter()
            .all(|handle| handle.lost() + handle.closed() > 0);
        assert!(lost, "all replicas saw the failover: {handles:?}");
        let of_key = |key: usize| admitted.iter().map(|of| of[key]).sum();
        (0..keys as usize).map(of_key).collect()
    }
}
