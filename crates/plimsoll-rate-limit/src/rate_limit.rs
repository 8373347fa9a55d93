//! `RateLimit`: the policy with one limit for all requests.

mod policy;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

use plimsoll_core::{Missing, Outcome, support::shards};
use tokio::time::Instant;

use crate::{
    InvalidKeyedRateLimit, InvalidQuota, InvalidWarmUp, KeyedRateLimit, One, Quota,
    RateLimitHandle, Refund, WarmUp,
    leases::Leases,
    settings::{self, Settings},
    share::Share,
    state::State,
    terms::Terms,
    token::Token,
    warm_up::Warming,
};

/// Admits as many requests as its [`Quota`]s allow and rejects the rest with the exact wait.
///
/// # Algorithm
///
/// The default is a token bucket, kept as the generic cell rate algorithm (GCRA, ITU-T I.371). The
/// state is the time at which the bucket will be full again, in one atomic. An admitted request
/// moves it forward by one increment; a rejected request writes nothing. In any time `t` at most
/// `burst + t / increment` requests are admitted. [`Quota`] lists the other algorithms; each keeps
/// its state in one atomic.
///
/// On several cores, a bucket with a large burst (at least 32 per core) is leased to the cores in
/// small batches, so that throughput does not fall with the number of cores. The guarantee stays
/// the same.
///
/// # Costs
///
/// A request takes one token, or the number that [`cost`](Self::cost) returns. A cost that is known
/// only at the end of the call is taken then ([`charge`](Self::charge)), even if that leaves a
/// debt.
///
/// # Rejections by other policies
///
/// The tokens of a request that a later policy rejects are refunded:
///
/// * Rejected at once, or when no token was taken after it: exactly, as if the request had never
///   arrived.
/// * After a wait in a later queue: never more than that. The bucket may lack the tokens that are
///   refilled within the longest wait. This bound holds for all waiters together, in any order of
///   rejection, and does not add up from wait to wait. With more than 1,024 waiters that are
///   rejected out of order, fewer tokens may be refunded.
/// * A window: all units that still count.
///
/// # Shared state and cloning
///
/// The state lives in this value. All services that the layer makes share it.
///
/// # Cancellation
///
/// An admitted request has spent its tokens, however it ends.
#[doc(alias(
    "throttle",
    "throttling",
    "rate limiter",
    "token bucket",
    "leaky bucket",
    "GCRA",
    "429",
    "fixed window",
    "sliding window"
))]
pub struct RateLimit<const N: usize = 1, C = One> {
    settings: Arc<Settings<N>>,
    cost: C,
    state: State<N>,
    /// Leases of the cores. Only for one quota without a name, a charge, a refund or a warm-up.
    leases: Option<Leases>,
    /// Whether requests take from the cell directly: neither from leases nor during a warm-up.
    ///
    /// Performance: one test in place of one for leases and one for warm-up (`instructions`,
    /// `rate-limit@accept`).
    direct: AtomicBool,
    /// Whether a refund or a charge is set, so that the end of a request changes something.
    ///
    /// Performance: one plain test at the end of a request in place of two atomic ones behind a
    /// pointer (`instructions`, `rate-limit@accept`).
    uses_outcome: bool,
}

/// The tokens that an admitted request took. Plain data.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitPermit<const N: usize = 1>(Token<N>);

impl RateLimit {
    /// The name of this policy in its rejections.
    pub const NAME: &'static str = settings::NAME;

    /// Creates one limit for all requests, with a full quota.
    ///
    /// # Errors
    ///
    /// When the quota's count, burst or period is zero, the period or the time to refill the burst
    /// is more than 365 days, the rate is more than one per nanosecond, a window's count is too
    /// large or has a burst, or the name is not valid in a header.
    pub fn new(quota: Quota) -> Result<Self, InvalidQuota> {
        Self::all([quota])
    }
}

impl<const N: usize> RateLimit<N> {
    /// Creates a limit with several quotas, such as 10 per second and 1,000 per hour.
    ///
    /// A request takes from all of them, or is rejected and takes from none.
    ///
    /// ```
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// let limit = RateLimit::all([Quota::per_second(10), Quota::per_hour(1000).fixed_window()])?;
    /// # Ok::<_, plimsoll_rate_limit::InvalidQuota>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn all(quotas: [Quota; N]) -> Result<Self, InvalidQuota> {
        let named = quotas.iter().any(|quota| quota.name().is_some());
        Ok(Self {
            settings: Arc::new(Settings::new(quotas)?),
            cost: One,
            state: State::new(),
            leases: if N == 1 && !named {
                Leases::new(shards())
            } else {
                None
            },
            direct: AtomicBool::new(true),
            uses_outcome: false,
        })
    }
}

impl<const N: usize, C> RateLimit<N, C> {
    /// Sets how many tokens a request takes; see [`RequestCost`](crate::RequestCost).
    ///
    /// ```
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// // A search costs ten tokens.
    /// let limit = RateLimit::new(Quota::per_second(100))?
    ///     .cost(|req: &http::Request<()>| if req.uri().path() == "/search" { 10 } else { 1 });
    /// # Ok::<_, plimsoll_rate_limit::InvalidQuota>(())
    /// ```
    pub fn cost<W>(self, cost: W) -> RateLimit<N, W> {
        RateLimit {
            settings: self.settings,
            cost,
            state: self.state,
            leases: self.leases,
            direct: self.direct,
            uses_outcome: self.uses_outcome,
        }
    }

    /// Takes an additional cost at the end of a call, such as bytes sent or tokens generated.
    ///
    /// The cost is taken beyond what the request took when it was admitted. It may leave a debt of
    /// up to 417 days; no request is admitted until the debt is paid. (A window counts up to its
    /// largest count, and its debt ends with the window.)
    ///
    /// ```
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// // 512 KiB per second, in units of 1 KiB:
    /// let limit = RateLimit::new(Quota::per_second(512))?
    ///     .charge(|outcome| outcome.bytes() / 1024);
    /// // What the handler reports through `plimsoll_core::Cost`:
    /// let limit = RateLimit::new(Quota::per_minute(100_000))?
    ///     .charge(|outcome| outcome.cost());
    /// # Ok::<_, plimsoll_rate_limit::InvalidQuota>(())
    /// ```
    ///
    /// Only the first `charge` has an effect.
    #[must_use]
    pub fn charge(mut self, charge: impl Fn(&Outcome) -> u64 + Send + Sync + 'static) -> Self {
        _ = self.settings.charge.set(Box::new(charge));
        self.leases = None;
        self.uses_outcome = true;
        self
    }

    /// Refunds tokens at the end of a request, depending on its outcome.
    ///
    /// `refund` returns a `bool` (all of them or none) or a `u32` (how many); see [`Refund`].
    ///
    /// The tokens are taken when the request is admitted. So a hundred concurrent requests are not
    /// all admitted before the first one has failed. A bucket refunds the tokens that it has not
    /// refilled since; a window refunds units that were taken in the current window.
    ///
    /// ```
    /// use std::time::Duration;
    /// use plimsoll_core::{Class, ClientIp, Missing};
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// // Five failed log-ins per address in 15 minutes. Successful ones do not count.
    /// let log_in = RateLimit::new(Quota::new(5, Duration::from_secs(15 * 60)))?
    ///     .refund(|outcome| outcome.class == Class::Success)
    ///     .per_key(ClientIp::peer(), Missing::Share, 100_000)?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Only the first `refund` has an effect. With a [`charge`](Self::charge) as well, the refund
    /// is applied first.
    ///
    /// # Panics
    ///
    /// When `refund` panics, no token is refunded and nothing is charged. The limit stays usable.
    #[must_use]
    pub fn refund<R: Into<Refund>>(
        mut self,
        refund: impl Fn(&Outcome) -> R + Send + Sync + 'static,
    ) -> Self {
        _ = self
            .settings
            .refund
            .set(Box::new(move |outcome| refund(outcome).into()));
        self.leases = None;
        self.uses_outcome = true;
        self
    }

    /// Makes this limit one per key that `key` reads, for up to `capacity` keys at a time.
    ///
    /// Each key has all quotas; all keys share settings and handle. `missing` decides about requests
    /// without a key. See [`KeyedRateLimit`] for keys beyond the capacity.
    ///
    /// ```
    /// use plimsoll_core::{HeaderKey, Missing};
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// let key = HeaderKey::from_static("x-tenant");
    /// let limit = RateLimit::new(Quota::per_minute(60).burst(5))?
    ///     .per_key(key, Missing::Share, 10_000)?;
    /// // The quota of all keys, present and future, can be changed:
    /// limit.handle().limit().set_quota(Quota::per_minute(120).burst(5))?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28, or the limit has a warm-up: a service warms up, a
    /// key does not.
    pub fn per_key<K>(
        self,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<KeyedRateLimit<K, N, C>, InvalidKeyedRateLimit> {
        if self.settings.warming.get().is_some() {
            return Err(InvalidKeyedRateLimit::WarmUp);
        }
        KeyedRateLimit::new(self.settings, self.cost, key, missing, capacity)
    }

    /// Tokens that a request could take at `now`: the smallest number that any quota has left.
    pub fn available(&self, now: Instant) -> u64 {
        let now = self.settings.nanos(now);
        match &self.leases {
            None => match self.settings.warming.get().map(Warming::ramp) {
                None => self.cell().remaining(Share::FULL, now),
                Some(ramp) => self.cell().remaining(ramp.share(now), ramp.time(now)),
            },
            Some(leases) => leases.remaining(self.cell(), now),
        }
    }

    /// Returns the handle that reads and changes the quotas at run time.
    pub fn handle(&self) -> RateLimitHandle<N> {
        RateLimitHandle::new(Arc::clone(&self.settings))
    }
}

impl<C> RateLimit<1, C> {
    /// Makes the rate rise from a fraction of the quota's to all of it after a pause; see
    /// [`WarmUp`].
    ///
    /// Only the first `warm_up` has an effect; its [handle](RateLimitHandle::set_warm_up) changes
    /// it.
    ///
    /// # Errors
    ///
    /// When `cold` is 0 or more than 1,000, a duration is zero or more than 365 days, or the quota
    /// is a window, which has no rate.
    pub fn warm_up(mut self, warm_up: WarmUp) -> Result<Self, InvalidWarmUp> {
        let (_, terms) = Terms::read(&self.settings.quotas[0]);
        if matches!(terms, Terms::Window(_)) {
            return Err(InvalidWarmUp::Window);
        }
        _ = self.settings.warming.set(Warming::new(warm_up)?);
        self.leases = None;
        self.direct = AtomicBool::new(false);
        Ok(self)
    }
}

impl<const N: usize, C: fmt::Debug> fmt::Debug for RateLimit<N, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_announces_what_is_left_takes_no_leases() {
        let named = RateLimit::new(Quota::per_second(10).named("ten")).expect("valid");
        assert!(named.leases.is_none(), "tokens in leases are not announced");
    }
}
