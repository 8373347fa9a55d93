//! `SlidingLog`: the policy with an exact sliding window.

mod figures;
mod log;
mod ring;
mod settings;

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{
    GateLayer, Http, InvalidKeyed, Keyed, Kind, Missing, Outcome, Policy, Rejection,
    figures::Figures,
    policy::{Allowance, Announcement, Evictable, Interests, Verdict},
};
use tokio::time::Instant;

pub use self::settings::{InvalidSlidingLog, SlidingLogHandle};
use self::{
    log::{Log, Rejected, Taken},
    settings::Settings,
};
use crate::{One, RequestCost};

/// Admits at most `limit` units in any period: the exact sliding window.
///
/// Windows are half open: a request admitted at `t` counts until just before `t + period`, and at
/// `t + period` the next one is admitted. With a limit of 100, no window holds more than 100
/// requests of a greedy caller. A token bucket with that burst admits up to 199, a fixed window
/// 200, and a sliding window counter 199.
///
/// # Algorithm
///
/// A log of the times at which the last units were taken (a "sliding window log"; exact where the
/// sliding window counter estimates). A request is admitted when the unit `limit` places before it
/// is a period old. Otherwise it is rejected with the exact time until then.
///
/// # Cost
///
/// Memory: 8 bytes per unit of the [highest limit](Self::with_max_limit), allocated at
/// construction, or in a limit [per key](Self::per_key) with the first request of each key. If that
/// is too much, a token bucket ([`RateLimit`](crate::RateLimit)) needs one number for any limit.
///
/// An admitted request takes a short lock, and writes one word per unit. A rejected request of one
/// unit reads a few atomics and takes no lock, so an overload does not contend for the lock. A
/// revoked unit is removed from the log; units taken after it are moved, one word each.
///
/// # Rejections by other policies
///
/// The units of a request that a later policy rejects are refunded exactly, as if they had never
/// been taken.
///
/// # Shared state and cloning
///
/// The log lives in this value. All services that the layer makes share it. The cells of a limit
/// per key have one log each and share the settings.
///
/// # Cancellation
///
/// An admitted request has spent its units, however it ends.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use axum::{Router, extract::Request, routing::get};
/// use plimsoll_core::GateLayer;
/// use plimsoll_rate_limit::SlidingLog;
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     // A partner's contract: 1,000 units in any minute, a search costs ten.
///     let cost = |req: &Request| if req.uri().path() == "/search" { 10 } else { 1 };
///     let limit = SlidingLog::new(1000, Duration::from_secs(60))?.cost(cost);
///     let app = Router::<()>::new()
///         .route("/search", get(|| async { "results" }))
///         .layer(GateLayer::new(limit));
///     Ok(())
/// }
/// ```
#[doc(alias("sliding window", "throttle"))]
pub struct SlidingLog<C = One> {
    settings: Arc<Settings>,
    log: Log,
    cost: Arc<C>,
}

/// The units that an admitted request took. Plain data.
#[derive(Debug, Clone, Copy)]
pub struct SlidingLogPermit(Taken);

/// Puts one [`SlidingLog`] in front of services.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_rate_limit::{SlidingLog, SlidingLogLayer};
///
/// let layer: SlidingLogLayer = SlidingLogLayer::new(SlidingLog::new(100, Duration::from_secs(1))?);
/// # Ok::<_, plimsoll_rate_limit::InvalidSlidingLog>(())
/// ```
pub type SlidingLogLayer<C = One, T = Http> = GateLayer<SlidingLog<C>, T>;

impl SlidingLog {
    /// The name of this policy in its rejections.
    pub const NAME: &'static str = "sliding-log";

    /// Creates a limit of `limit` units in any `period`.
    ///
    /// # Errors
    ///
    /// # Errors
    pub fn new(limit: u32, period: Duration) -> Result<Self, InvalidSlidingLog> {
        Self::with_max_limit(limit, period, limit)
    }

    /// As [`new`](Self::new), with room for a [later](SlidingLogHandle::set_limit) limit of up to
    /// `max_limit`.
    ///
    /// # Errors
    ///
    /// When the limit is 0 or more than `max_limit`, `max_limit` is more than 2^20, or the period
    /// is zero or more than 365 days.
    pub fn with_max_limit(
        limit: u32,
        period: Duration,
        max_limit: u32,
    ) -> Result<Self, InvalidSlidingLog> {
        Ok(Self {
            settings: Arc::new(Settings::new(limit, period, max_limit)?),
            log: Log::new(max_limit as usize),
            cost: Arc::new(One),
        })
    }
}

impl<C> SlidingLog<C> {
    /// Sets how many units a request takes: all of them or none.
    ///
    /// A request that costs 0 is admitted and takes nothing. A request that costs more than the
    /// limit is rejected, without a `Retry-After`.
    pub fn cost<W>(self, cost: W) -> SlidingLog<W> {
        SlidingLog {
            settings: self.settings,
            log: self.log,
            cost: Arc::new(cost),
        }
    }

    /// Reports this limit to callers under this name, in `RateLimit-Policy` and `RateLimit`.
    ///
    /// The fields are set on rejections and on responses to admitted requests; see
    /// [`Quota::named`](crate::Quota::named). Only the first name has an effect.
    ///
    /// # Errors
    ///
    /// When the name is not valid in a header, or 4,096 other names are kept; see
    /// [`Allowance::intern`].
    pub fn named(self, name: &str) -> Result<Self, InvalidSlidingLog> {
        match Allowance::intern(name) {
            Some(name) => _ = self.settings.name.set(name),
            None => return Err(InvalidSlidingLog::Name(name.into())),
        }
        Ok(self)
    }

    /// Makes this limit one per key, for up to `capacity` keys.
    ///
    /// Each key has its own log; all keys share this limit's handle. See [`Keyed`] for keys beyond
    /// the capacity.
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28.
    pub fn per_key<K>(
        self,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Keyed<K, Self>, InvalidKeyed>
    where
        C: Send + Sync + 'static,
    {
        let (settings, cost) = (self.settings, self.cost);
        Keyed::new(key, missing, capacity, move || Self {
            settings: Arc::clone(&settings),
            // Cells are created in bulk, before there are keys for them.
            log: Log::new(0),
            cost: Arc::clone(&cost),
        })
    }

    /// Units that can be taken at `now`. In a cell: by its key.
    pub fn available(&self, now: Instant) -> u64 {
        let Settings { terms, epoch, .. } = &*self.settings;
        self.log.available(terms, epoch.nanos(now))
    }

    /// Returns the handle that reads and changes the settings. The cells of a limit per key share
    /// it.
    pub fn handle(&self) -> SlidingLogHandle {
        SlidingLogHandle(Arc::clone(&self.settings))
    }

    #[cold]
    fn rejection(&self, rejected: Rejected) -> Rejection {
        self.settings.rejected.add();
        let rejection = Rejection::new(SlidingLog::NAME, Kind::OverQuota);
        let Rejected::Wait(nanos) = rejected else {
            return rejection;
        };
        let wait = Duration::from_nanos(nanos);
        let rejection = rejection.with_retry_after(wait);
        match self.settings.name.get() {
            Some(name) => rejection.with_allowance(self.settings.allowance(name, 0, wait)),
            None => rejection,
        }
    }
}

impl<Req, C: RequestCost<Req>> Policy<Req> for SlidingLog<C> {
    type Permit = SlidingLogPermit;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<SlidingLogPermit, Infallible> {
        let Settings {
            terms,
            max_limit,
            epoch,
            ..
        } = &*self.settings;
        let units = self.cost.cost(req);
        match self.log.take(terms, *max_limit, epoch.nanos(now), units) {
            Ok(taken) => Verdict::Admit(SlidingLogPermit(taken)),
            Err(rejected) => Verdict::Reject(self.rejection(rejected)),
        }
    }

    #[inline]
    fn finish(&self, _: SlidingLogPermit, _: &Outcome) {}

    fn revoke(&self, permit: SlidingLogPermit, _: Instant, _: Instant) {
        self.log.refund(&self.settings.terms, permit.0);
    }

    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        Interests::NONE.with_announce(asked.announce() && self.settings.name.get().is_some())
    }

    fn announce(&self, _: &SlidingLogPermit, admitted: Instant, out: &mut Announcement<'_>) {
        if let Some(name) = self.settings.name.get() {
            let left = self.available(admitted);
            let whole_in = self.settles_in(admitted);
            out.allowance(&self.settings.allowance(name, left, whole_in));
        }
    }
}

impl<C: Send + Sync> Evictable for SlidingLog<C> {
    fn reset(&self) {
        self.log.clear();
    }

    fn settles_in(&self, now: Instant) -> Duration {
        let Settings { terms, epoch, .. } = &*self.settings;
        Duration::from_nanos(self.log.empty_in(terms, epoch.nanos(now)))
    }

    fn figures(&self) -> Option<Arc<dyn Figures>> {
        Some(Arc::new(self.handle()))
    }
}

impl<C> fmt::Debug for SlidingLog<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handle = self.handle();
        f.debug_struct("SlidingLog")
            .field("limit", &handle.limit())
            .field("period", &handle.period())
            .finish_non_exhaustive()
    }
}
