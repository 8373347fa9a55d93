//! Reading a shared limit while it runs.

use std::{fmt, hash::Hash, sync::Arc};

use plimsoll_circuit_breaker::BreakerHandle;

use crate::{Disconnected, NoAnswer, engine::Engine, link::Link};

/// Counts what a shared limit decided, and by whom. Clones share it.
#[derive(Clone)]
pub struct RedisHandle(pub(crate) Arc<Engine>);

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        impl RedisHandle {$(
            $(#[$doc])*
            pub fn $name(&self) -> u64 {
                self.0.counts.$name.get()
            }
        )*}
    };
}

counters! {
    /// Requests that Redis let in.
    admitted;
    /// Requests that Redis refused.
    refused;
    /// Requests let in by a lease, without asking.
    leased;
    /// Requests refused by a lease, because Redis had said for how long it has nothing.
    refused_by_lease;
    /// Requests that cost more than a quota can ever hold: refused without asking.
    over_size;
    /// Requests without a key.
    missing;
    /// Decisions by the local limits, because there was no answer.
    local;
    /// Requests let in uncounted, because there was no answer ([`OnFailure::Open`](crate::OnFailure)).
    opened;
    /// Requests refused, because there was no answer ([`OnFailure::Closed`](crate::OnFailure)).
    closed;
    /// No answer within the deadline.
    timeouts;
    /// Answers that were errors.
    errors;
    /// Answers that no script of ours gives.
    nonsense;
    /// No connection, or it broke before the answer.
    unreachable;
    /// The queue of the connection was full.
    queue_full;
    /// Not asked, because the breaker was open.
    broken;
    /// Connections that broke or were given up.
    lost;
    /// Tokens granted after the request had gone; they are given back.
    came_late;
    /// Times that tokens of a request that never ran were to be given back.
    refunds;
    /// Of those, and of those that came late, how many were not: no room in the queue, or no connection.
    refunds_dropped;
}

impl RedisHandle {
    /// The breaker in front of Redis: its state, and its settings. It can be forced open to take Redis out.
    pub fn breaker(&self) -> BreakerHandle {
        self.0.breaker.handle()
    }

    /// Forgets all that a key has taken, debts included: its quotas are whole, for all replicas.
    /// `false` when Redis knew nothing of it. What requests of this key took before is not released
    /// any more.
    ///
    /// `key` must hash as the policy's key does: a [`LimitKey`](plimsoll_rate_limit::LimitKey), what a key's closure
    /// returns, or `()` for [`Everybody`](crate::Everybody).
    ///
    /// ```no_run
    /// # async fn forgive(handle: plimsoll_redis::RedisHandle) -> Result<(), plimsoll_redis::NoAnswer> {
    /// use plimsoll_rate_limit::LimitKey;
    ///
    /// handle.reset(LimitKey::api_key("s3cret")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// This changes what Redis knows. A lease that was rejected goes on rejecting until the wait
    /// that Redis stated is over; in this process [`leases`](crate::LeasedRateLimit::leases)
    /// reaches it (`with_cell(key, Cell::reset)`). Local limits, which decide while Redis is away,
    /// keep their own counts.
    ///
    /// # Errors
    ///
    /// When there is no connection or no answer. The change may have been made all the same.
    pub async fn reset(&self, key: impl Hash) -> Result<bool, NoAnswer> {
        let digest = self.0.digests.of(Some(key));
        self.0.change(digest, None).await.map_err(NoAnswer)
    }

    /// Puts `tokens` back into each quota of a key, at most as many as are missing from it: a
    /// bucket holds no more than its burst, and a window admits no more than its count. `false`
    /// when Redis knew nothing of the key, and so nothing is missing. As for [`reset`](Self::reset)
    /// otherwise.
    ///
    /// # Errors
    ///
    /// As for [`reset`](Self::reset).
    pub async fn grant(&self, key: impl Hash, tokens: u32) -> Result<bool, NoAnswer> {
        let digest = self.0.digests.of(Some(key));
        self.0.change(digest, Some(tokens)).await.map_err(NoAnswer)
    }

    /// How many connections are up, as far as is known: each was made, and its server could write
    /// then. One that broke while nothing was asked is found out by the next request.
    pub fn connected(&self) -> usize {
        self.0.links.iter().filter(|link| link.is_up()).count()
    }

    /// Why a connection is down, when one is. Also logged through `tracing`, once for each reason
    /// until Redis decides again.
    pub fn disconnected(&self) -> Option<Disconnected> {
        self.0.links.iter().find_map(Link::why_down)
    }

    /// Waits until all connections are up. Nothing else waits for them: until then, decisions are
    /// made without Redis. When this takes long, [`disconnected`](Self::disconnected) says why.
    pub async fn wait_connected(&self) {
        for link in &self.0.links {
            link.wait_up().await;
        }
    }
}

impl fmt::Debug for RedisHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisHandle")
            .field("connected", &self.connected())
            .field("disconnected", &self.disconnected())
            .field("admitted", &self.admitted())
            .field("refused", &self.refused())
            .field("local", &self.local())
            .finish_non_exhaustive()
    }
}
