//! The builder of both policies.

use std::{
    sync::{Arc, atomic::AtomicU16},
    time::Duration,
};

use plimsoll_circuit_breaker::CircuitBreaker;
use plimsoll_core::{Missing, policy::Epoch};
use plimsoll_rate_limit::{One, Quota};

use crate::{
    AllRequests, InvalidRedisRateLimit, LeaseSettings, LeasedRateLimit, MAX_QUOTAS, OnFailure,
    RedisRateLimit, RedisServer, counts::Counts, digest::Digests, engine::Engine,
    lease::LeaseTerms, link::Link, link_settings::LinkSettings, local::Local, quotas::Shared,
    reader::Reader, script::Scripts,
};

/// The settings of a shared limit, checked together by [`connect`](Self::connect) and
/// [`lease`](Self::lease).
///
/// | setting | default | reason |
/// |---|---|---|
/// | [`per_key`](Self::per_key) | one limit for the fleet | |
/// | [`cost`](Self::cost) | [`One`] | |
/// | [`prefix`](Self::prefix) | `plimsoll` | |
/// | [`secret`](Self::secret) | none | API keys cannot be guessed; addresses can |
/// | [`deadline`](Self::deadline) | 20 ms | a nearby Redis answers within 1 ms |
/// | [`on_failure`](Self::on_failure) | [`OnFailure::Local`] | keeps a limit and serves requests |
/// | [`replicas`](Self::replicas) | 1 | each replica has the whole quota while Redis is down |
/// | [`connections`](Self::connections) | 2 | Redis has one thread |
/// | [`queue`](Self::queue) | 1024 | 20 ms of work for a Redis at 50,000 per second |
/// | [`breaker`](Self::breaker) | half of the last 20, at least 10; 500 ms; one probe | detects a dead Redis within 10 requests |
#[must_use = "a builder does nothing until `connect`"]
pub struct RedisRateLimitBuilder<K = AllRequests, C = One> {
    server: RedisServer,
    quotas: Vec<Quota>,
    key: K,
    missing: Missing,
    cost: C,
    prefix: String,
    secret: Vec<u8>,
    deadline: Duration,
    on_failure: OnFailure,
    replicas: u32,
    capacity: usize,
    connections: usize,
    queue: usize,
    breaker: Option<CircuitBreaker>,
}

impl RedisRateLimit {
    /// Returns the builder of a limit in this Redis. At least one quota is required.
    pub fn builder(server: RedisServer) -> RedisRateLimitBuilder {
        RedisRateLimitBuilder::new(server)
    }
}

impl RedisRateLimitBuilder {
    fn new(server: RedisServer) -> Self {
        Self {
            server,
            quotas: Vec::new(),
            key: AllRequests,
            missing: Missing::Share,
            cost: One,
            prefix: "plimsoll".to_owned(),
            secret: Vec::new(),
            deadline: Duration::from_millis(20),
            on_failure: OnFailure::Local,
            replicas: 1,
            // One key. `per_key` sets more.
            capacity: 1,
            connections: 2,
            queue: 1024,
            breaker: None,
        }
    }
}

impl<K, C> RedisRateLimitBuilder<K, C> {
    /// Adds a quota, up to [`MAX_QUOTAS`]. A request must fit all of them, or takes from none.
    ///
    /// Token buckets, fixed and sliding windows are counted in Redis as [`Quota`] describes them,
    /// by the clock of Redis and in microseconds. Increments are rounded up to whole microseconds,
    /// so 70,000 per second are 66,666. Windows are counted from 1970, so that all replicas have
    /// the same ones: a fixed window of a day ends at midnight, UTC. [Calendar
    /// windows](Quota::per_calendar_day) end by the wall clock of the server (`TIME`); while Redis
    /// is down, the local limits use the clock of their own machine.
    ///
    /// Replicas whose quotas of one name differ carry over what was spent; see the
    /// [crate](crate#when-a-quota-changes). A [name](Quota::named) is also the quota's name in
    /// Redis. Named quotas are reported to callers, except while Redis is down.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(quota);
        self
    }

    /// Makes the limit one per key that `key` reads. `missing` decides about requests without a key.
    ///
    /// Redis keeps any number of keys. Up to `capacity` keys at a time have a local limit for the
    /// time when Redis is down, or a lease; see [`Keyed`](plimsoll_core::Keyed). Capacities of zero
    /// and of more than 2^28 keys are rejected by [`connect`](Self::connect) and
    /// [`lease`](Self::lease).
    ///
    /// In Redis a key is 128 bits of SHA-256 over the bytes that its [`Hash`](std::hash::Hash)
    /// writes. Those depend on the key's type and, for types of the standard library, on the
    /// compiler's version. Replicas of the same build agree; a deployment that changes either may
    /// start new counters.
    pub fn per_key<New>(
        mut self,
        key: New,
        missing: Missing,
        capacity: usize,
    ) -> RedisRateLimitBuilder<New, C> {
        self.capacity = capacity;
        self.map(|_, cost, _| (key, cost, missing))
    }

    /// Sets how many tokens a request takes; see [`RequestCost`](plimsoll_rate_limit::RequestCost).
    pub fn cost<New>(self, cost: New) -> RedisRateLimitBuilder<K, New> {
        self.map(|key, _, missing| (key, cost, missing))
    }

    fn map<K2, C2>(
        self,
        map: impl FnOnce(K, C, Missing) -> (K2, C2, Missing),
    ) -> RedisRateLimitBuilder<K2, C2> {
        let (key, cost, missing) = map(self.key, self.cost, self.missing);
        RedisRateLimitBuilder {
            key,
            missing,
            cost,
            server: self.server,
            quotas: self.quotas,
            prefix: self.prefix,
            secret: self.secret,
            deadline: self.deadline,
            on_failure: self.on_failure,
            replicas: self.replicas,
            capacity: self.capacity,
            connections: self.connections,
            queue: self.queue,
            breaker: self.breaker,
        }
    }

    /// Sets the prefix of all keys. Limits with the same prefix and names share counters.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets a secret that is hashed with each key. All replicas must have the same one.
    ///
    /// Without it, keys that can be guessed (addresses, names) can be found in a copy of the data.
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = secret.into();
        self
    }

    /// Sets how long a request waits for Redis: 1 ms to 10 s.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets what happens to requests when Redis does not answer.
    pub const fn on_failure(mut self, choice: OnFailure) -> Self {
        self.on_failure = choice;
        self
    }

    /// Sets how many replicas share the limit.
    ///
    /// Each local limit has that share of the quota, so that all together keep it while Redis is
    /// down.
    pub const fn replicas(mut self, replicas: u32) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets the number of connections, 1 to 64. A key always uses the same one while it is up.
    pub const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets how many questions can be queued per connection, 1 to 65,536. With a full queue,
    /// [`OnFailure`] decides at once.
    pub const fn queue(mut self, questions: usize) -> Self {
        self.queue = questions;
        self
    }

    /// Replaces the breaker in front of Redis. Timeouts, errors and nonsense count as failures.
    pub fn breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = Some(breaker);
        self
    }

    /// Builds the exact limit: Redis makes every decision.
    ///
    /// Spawns a task for each connection; the tasks end when the limit is dropped. Does not wait
    /// for Redis, which may be down when a service starts
    /// ([`RedisHandle::wait_connected`](crate::RedisHandle::wait_connected) does).
    ///
    /// # Errors
    ///
    /// The first setting that is out of bounds, with the bound; or that there is no Tokio runtime.
    pub fn connect(self) -> Result<RedisRateLimit<K, C>, InvalidRedisRateLimit> {
        let (engine, reader, ()) = self.start(|_| Ok(()))?;
        Ok(RedisRateLimit { engine, reader })
    }

    /// Builds the limit that takes tokens in batches. Spawns tasks like [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect), and for the settings of the lease.
    pub fn lease(self, lease: LeaseSettings) -> Result<LeasedRateLimit<K, C>, InvalidRedisRateLimit>
    where
        K: Send + Sync + 'static,
        C: Send + Sync + 'static,
    {
        let capacity = self.capacity;
        let (engine, reader, lease) = self.start(|largest| lease.check(largest))?;
        let terms = LeaseTerms {
            batch: lease.batch,
            low_water: lease.low_water,
            lifetime: lease.lifetime,
            epoch: Epoch::new(),
        };
        LeasedRateLimit::new(engine, reader, terms, capacity)
    }

    /// Checks all settings, then spawns the tasks.
    fn start<T>(
        self,
        check: impl FnOnce(u32) -> Result<T, InvalidRedisRateLimit>,
    ) -> Result<Started<K, C, T>, InvalidRedisRateLimit> {
        let quotas = self.quotas()?;
        let largest = quotas.iter().map(|quota| quota.size).min().unwrap_or(0);
        let checked = check(largest)?;
        let local = Local::new(&quotas, self.replicas, self.capacity)?;
        let breaker = match self.breaker {
            Some(breaker) => breaker,
            None => default_breaker(),
        };
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(InvalidRedisRateLimit::NoRuntime);
        }
        let counts = Arc::<Counts>::default();
        let settings = Arc::new(LinkSettings {
            target: self.server.target,
            scripts: Arc::new(Scripts::new(&self.prefix, &quotas)),
            counts: Arc::clone(&counts),
            deadline: self.deadline,
            queue: self.queue,
            logged: AtomicU16::new(0),
        });
        let links = (0..self.connections).map(|_| Link::spawn(Arc::clone(&settings)));
        let engine = Engine {
            quotas: quotas.into(),
            links: links.collect(),
            counts,
            breaker,
            local,
            on_failure: self.on_failure,
            deadline: self.deadline,
            largest,
            digests: Digests::new(&self.secret),
        };
        let reader = Reader {
            key: self.key,
            missing: self.missing,
            cost: self.cost,
            digests: engine.digests.clone(),
        };
        Ok((Arc::new(engine), reader, checked))
    }

    /// The quotas, after a check of all bounds.
    fn quotas(&self) -> Result<Vec<Shared>, InvalidRedisRateLimit> {
        let quotas = self.quotas.iter();
        let quotas: Vec<Shared> = quotas
            .map(|quota| Shared::new(*quota))
            .collect::<Result<_, _>>()?;
        if quotas.is_empty() || quotas.len() > MAX_QUOTAS {
            return Err(InvalidRedisRateLimit::Quotas(quotas.len()));
        }
        for (n, quota) in quotas.iter().enumerate() {
            if quotas[..n].iter().any(|other| other.key == quota.key) {
                return Err(InvalidRedisRateLimit::Same(quota.key.clone()));
            }
        }
        let prefix = self.prefix.as_bytes();
        let printable = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'{' | b'}');
        if prefix.is_empty() || prefix.len() > 64 || !prefix.iter().all(printable) {
            return Err(InvalidRedisRateLimit::Prefix(self.prefix.clone()));
        }
        if self.deadline < Duration::from_millis(1) || self.deadline > Duration::from_secs(10) {
            return Err(InvalidRedisRateLimit::Deadline(self.deadline));
        }
        if !(1..=64).contains(&self.connections) {
            return Err(InvalidRedisRateLimit::Connections(self.connections));
        }
        if !(1..=1 << 16).contains(&self.queue) {
            return Err(InvalidRedisRateLimit::Queue(self.queue));
        }
        if self.replicas == 0 {
            return Err(InvalidRedisRateLimit::Replicas(0));
        }
        Ok(quotas)
    }
}

/// The parts of a limit, and the result of the additional check.
type Started<K, C, T> = (Arc<Engine>, Reader<K, C>, T);

fn default_breaker() -> CircuitBreaker {
    let breaker = CircuitBreaker::builder()
        .window(20)
        .min_calls(10)
        .failure_rate(0.5)
        .open_for(Duration::from_millis(500))
        .backoff(1.0, Duration::from_millis(500))
        .ramp(None)
        .probes(1)
        .successes(1)
        .probe_timeout(Duration::from_secs(1))
        .build();
    // A test checks that these settings are within bounds.
    breaker.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use plimsoll_circuit_breaker::Window;

    use super::*;

    #[test]
    fn default_breaker_is_as_documented() {
        let handle = default_breaker().handle();
        assert_eq!(
            (handle.window(), handle.min_calls()),
            (Window::Calls(20), 10)
        );
        assert_eq!(handle.open_for(), Duration::from_millis(500));
    }
}
