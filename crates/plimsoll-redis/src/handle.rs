//! The handle: counters and changes at run time.

use std::{fmt, hash::Hash, sync::Arc};

use plimsoll_circuit_breaker::CircuitBreakerHandle;

use crate::{Disconnected, NoAnswer, engine::Engine, link::Link};

/// Counts the decisions of a shared limit, and changes its keys. Clones share it.
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
    /// Requests admitted by Redis.
    admitted;
    /// Requests rejected by Redis.
    rejected;
    /// Requests admitted by a lease, without a question to Redis.
    leased;
    /// Requests rejected by a lease, during a wait that Redis had given.
    rejected_by_lease;
    /// Requests with a cost that exceeds a quota: rejected without a question to Redis.
    over_size;
    /// Requests without a key.
    missing;
    /// Requests decided by the local limits, because there was no answer.
    local;
    /// Requests admitted uncounted, because there was no answer
    /// ([`OnFailure::Open`](crate::OnFailure)).
    opened;
    /// Requests rejected, because there was no answer ([`OnFailure::Closed`](crate::OnFailure)).
    closed;
    /// Questions without an answer within the deadline.
    timeouts;
    /// Answers that were errors.
    errors;
    /// Answers that the scripts never give.
    nonsense;
    /// Questions without a connection, or whose connection broke before the answer.
    unreachable;
    /// Questions that found the queue of the connection full.
    queue_full;
    /// Questions not sent, because the breaker was open.
    broken;
    /// Connections that broke or were closed.
    lost;
    /// Grants that arrived after the request was cancelled; their tokens are refunded.
    came_late;
    /// Refunds of requests that never ran.
    refunds;
    /// Refunds that were dropped, because the queue was full or there was no connection.
    ///
    /// Of [`refunds`](Self::refunds) and [`came_late`](Self::came_late).
    refunds_dropped;
}

impl RedisHandle {
    /// Returns the handle of the breaker in front of Redis. Forcing it open takes Redis out of use.
    pub fn breaker(&self) -> CircuitBreakerHandle {
        self.0.breaker.handle()
    }

    /// Resets all quotas of a key to full, for all replicas, and clears its debts.
    ///
    /// Returns `false` when Redis has no data of the key. Tokens that were taken before are no
    /// longer refunded.
    ///
    /// `key` must hash like the policy's key: a [`LimitKey`](plimsoll_rate_limit::LimitKey), the
    /// value that a key's closure returns, or `()` for [`AllRequests`](crate::AllRequests).
    ///
    /// ```no_run
    /// use plimsoll_rate_limit::LimitKey;
    /// use plimsoll_redis::{NoAnswer, RedisHandle};
    ///
    /// async fn reset_caller(handle: RedisHandle) -> Result<(), NoAnswer> {
    ///     handle.reset(LimitKey::api_key("s3cret")).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// This changes the data in Redis only. A rejected lease continues to reject until the wait
    /// that Redis returned has passed; in this process
    /// [`leases`](crate::LeasedRateLimit::leases) can reset it (`with_cell(key, Evictable::reset)`).
    /// Local limits, which decide while Redis is down, keep their own counts.
    ///
    /// # Errors
    ///
    /// When there is no connection or no answer. The change may have been made nevertheless.
    pub async fn reset(&self, key: impl Hash) -> Result<bool, NoAnswer> {
        let digest = self.0.digests.of(Some(key));
        self.0.change(digest, None).await.map_err(NoAnswer)
    }

    /// Adds `tokens` to each quota of a key, at most as many as are missing.
    ///
    /// A bucket holds at most its burst, and a window admits at most its count. Returns `false`
    /// when Redis has no data of the key, so that nothing is missing. The notes of
    /// [`reset`](Self::reset) apply.
    ///
    /// # Errors
    ///
    /// As for [`reset`](Self::reset).
    pub async fn grant(&self, key: impl Hash, tokens: u32) -> Result<bool, NoAnswer> {
        let digest = self.0.digests.of(Some(key));
        self.0.change(digest, Some(tokens)).await.map_err(NoAnswer)
    }

    /// Connections that are up, as far as is known.
    ///
    /// Each was made, and its server could write then. A connection that broke while it was idle is
    /// detected by the next request.
    pub fn connected(&self) -> usize {
        self.0.links.iter().filter(|link| link.is_up()).count()
    }

    /// Why a connection is down; `None` when all are up.
    ///
    /// Each reason is also logged through `tracing`, once until Redis answers again.
    pub fn disconnected(&self) -> Option<Disconnected> {
        self.0.links.iter().find_map(Link::why_down)
    }

    /// Waits until all connections are up. Requests do not wait for that: until then, decisions are
    /// made without Redis. When this takes long, see [`disconnected`](Self::disconnected).
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
            .field("rejected", &self.rejected())
            .field("local", &self.local())
            .finish_non_exhaustive()
    }
}
