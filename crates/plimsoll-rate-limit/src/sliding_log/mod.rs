//! `SlidingLog`: the policy.

mod log;
mod ring;
mod settings;

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{
    Allowance, Announcement, Cell, GateLayer, Http, InvalidKeyed, Keyed, Kind, Missing, Outcome,
    Policy, Rejection, Verdict,
};
use tokio::time::Instant;

pub use self::settings::{InvalidSlidingLog, SlidingLogHandle};
use self::{
    log::{Log, Refused, Taken},
    settings::Settings,
};
use crate::{One, Weigh};

/// Admits never more than so many requests in any stretch of time: the exact sliding window.
///
/// Windows are half open: a request let in at `t` counts until just before `t + period`, and at `t + period` the next may
/// come. Whichever way a greedy caller spends its limit of 100, no window holds more than 100 of its requests; a token
/// bucket with that burst lets 199 into the worst, a fixed window 200 and one that slides by weight 199.
///
/// # How it decides
///
/// A log of the moments at which the last units were taken (a "sliding window log"; exact where the sliding window
/// counter estimates). A request is let in when the unit `limit` places before it is a period old. Otherwise it is
/// refused with the exact time until that is so.
///
/// # Cost
///
/// Memory: 8 bytes for each unit of the [highest limit](Self::with_max_limit), allocated at construction, in a limit
/// [per key](Self::per_key) with the first request of each key. Where that is too much, a token bucket
/// ([`RateLimit`](crate::RateLimit)) needs one number whatever the limit.
///
/// A request that is let in takes a short lock, and writes a word for each unit it takes. One that is refused and
/// would have taken one unit reads a few atomics and takes no lock, so a storm does not meet at the lock: it is taken
/// about as often as the limit lets in. A unit that is revoked is taken out of the log, and those taken after it move
/// up: a word each.
///
/// # Refusals elsewhere
///
/// A request that a later policy refuses gets its units back exactly: as if they had never been taken.
///
/// # Shared state and cloning
///
/// The log lives in this value; the layer shares it among all services it makes. The cells of a limit per key have a log each
/// and share their settings.
///
/// # Cancellation
///
/// A request that is let in has spent its units, however it ends.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use plimsoll_core::GateLayer;
/// use plimsoll_rate_limit::SlidingLog;
///
/// // A partner's contract: 1,000 units in any minute, a search costs ten.
/// let limit = SlidingLog::new(1000, Duration::from_secs(60))?
///     .cost(|req: &http::Request<()>| if req.uri().path() == "/search" { 10 } else { 1 });
/// let layer = GateLayer::new(limit);
/// # let _: GateLayer<_> = layer;
/// # Ok::<_, plimsoll_rate_limit::InvalidSlidingLog>(())
/// ```
pub struct SlidingLog<C = One> {
    settings: Arc<Settings>,
    log: Log,
    cost: Arc<C>,
}

/// What an admitted request took. Plain data.
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
    /// The name under which this policy refuses.
    pub const NAME: &'static str = "sliding-log";

    /// At most `limit` units in any `period`; nothing is taken yet.
    ///
    /// # Errors
    ///
    /// When the limit is 0 or more than 2^20, or the period zero or more than 365 days.
    pub fn new(limit: u32, period: Duration) -> Result<Self, InvalidSlidingLog> {
        Self::with_max_limit(limit, period, limit)
    }

    /// As [`new`](Self::new), with room for a limit of up to `max_limit`, should it be
    /// [changed](SlidingLogHandle::set_limit).
    ///
    /// # Errors
    ///
    /// When the limit is 0 or more than `max_limit`, `max_limit` is more than 2^20, or the period is zero or
    /// more than 365 days.
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
    /// How many units a request takes: all of them or none. One that costs 0 is let in and takes nothing; one
    /// that costs more than the limit is refused, and not told to come back.
    pub fn cost<W>(self, cost: W) -> SlidingLog<W> {
        SlidingLog {
            settings: self.settings,
            log: self.log,
            cost: Arc::new(cost),
        }
    }

    /// Tells callers this limit, under this name, in `RateLimit-Policy` and `RateLimit`: on refusals and on the answers
    /// to requests that were let in; see [`Quota::named`](crate::Quota::named). Once: of several
    /// names the first counts.
    ///
    /// # Errors
    ///
    /// When the name cannot stand in a header.
    pub fn named(self, name: &'static str) -> Result<Self, InvalidSlidingLog> {
        if !Allowance::is_name(name) {
            return Err(InvalidSlidingLog::Name(name));
        }
        _ = self.settings.name.set(name);
        Ok(self)
    }

    /// Makes this limit one per key, for up to `capacity` keys at a time: each key gets a log of its own, all share this
    /// limit's handle. See [`Keyed`] for what becomes of keys beyond the capacity.
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
            // Cells are made by the hundred, before there are keys for them.
            log: Log::new(0),
            cost: Arc::clone(&cost),
        })
    }

    /// Units that could be taken at `now`. (Of a cell: for its key.)
    pub fn available(&self, now: Instant) -> u64 {
        let Settings { terms, epoch, .. } = &*self.settings;
        self.log.available(terms, epoch.nanos(now))
    }

    /// Reads and changes the settings, at any time. The cells of a limit per key have the same handle.
    pub fn handle(&self) -> SlidingLogHandle {
        SlidingLogHandle(Arc::clone(&self.settings))
    }

    #[cold]
    fn refusal(&self, refused: Refused) -> Rejection {
        self.settings.refused.add();
        let rejection = Rejection::new(SlidingLog::NAME, Kind::OverQuota);
        let Refused::Wait(nanos) = refused else {
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

impl<Req, C: Weigh<Req>> Policy<Req> for SlidingLog<C> {
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
        let units = self.cost.weigh(req);
        match self.log.take(terms, *max_limit, epoch.nanos(now), units) {
            Ok(taken) => Verdict::Admit(SlidingLogPermit(taken)),
            Err(refused) => Verdict::Reject(self.refusal(refused)),
        }
    }

    #[inline]
    fn finish(&self, _: SlidingLogPermit, _: &Outcome) {}

    fn revoke(&self, permit: SlidingLogPermit, _: Instant, _: Instant) {
        self.log.give_back(&self.settings.terms, permit.0);
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        self.settings.name.get().is_some()
    }

    fn announce(&self, _: &SlidingLogPermit, admitted: Instant, out: &mut Announcement<'_>) {
        if let Some(name) = self.settings.name.get() {
            let left = self.available(admitted);
            let whole_in = self.settles_in(admitted);
            out.allowance(&self.settings.allowance(name, left, whole_in));
        }
    }
}

impl<C: Send + Sync> Cell for SlidingLog<C> {
    fn reset(&self) {
        self.log.clear();
    }

    fn settles_in(&self, now: Instant) -> Duration {
        let Settings { terms, epoch, .. } = &*self.settings;
        Duration::from_nanos(self.log.empty_in(terms, epoch.nanos(now)))
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
