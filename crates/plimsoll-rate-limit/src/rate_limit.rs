//! `RateLimit`: the policy.

use std::{convert::Infallible, sync::Arc, time::Duration};

use plimsoll_core::{
    Allowance, Announcement, Cell, InvalidKeyed, Keyed, Kind, Missing, Outcome, Policy, Rejection,
    Verdict,
};
use tokio::time::Instant;

use crate::{
    InvalidKeyedRateLimit, InvalidName, InvalidQuota, Quota, RateLimitHandle,
    bucket::{Bucket, Empty, Token},
    handle::Settings,
};

/// Admits as many requests as a [`Quota`] allows, and refuses the others with the exact time to come back.
///
/// # How it decides
///
/// A token bucket, kept as the generic cell rate algorithm (GCRA, ITU-T I.371): the state is the moment at which the
/// bucket will be full again, in one atomic. A request that is let in moves it on by one increment; a refused one writes
/// nothing. In any stretch of time `t` at most `burst + t / increment` requests are let in.
///
/// # Refusals elsewhere
///
/// A request that a later policy refuses gets its token back, less what the clock has refilled in the meantime:
/// the whole token when nothing else was taken at a later moment (so always, when the refusal is immediate), and
/// never so much that the burst could be had twice.
///
/// # Shared state and cloning
///
/// The state lives in this value; the layer shares it among all services it makes. The cells of a
/// [keyed](Self::keyed) limit have a bucket each and share their settings, so one [`handle`](Self::handle) changes the
/// quota of all.
///
/// # Cancellation
///
/// A request that is let in has spent its token, however it ends.
#[derive(Debug)]
pub struct RateLimit {
    settings: Arc<Settings>,
    bucket: Bucket,
}

/// What an admitted request took. Plain data.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitPermit(Token);

impl RateLimit {
    /// The name under which this policy refuses.
    pub const NAME: &'static str = "rate-limit";

    /// One limit for all requests; the bucket is full.
    ///
    /// # Errors
    ///
    /// When the quota's count, burst or period is zero, the period or the time to refill the burst is more than
    /// 365 days, or the rate is more than one per nanosecond.
    pub fn new(quota: Quota) -> Result<Self, InvalidQuota> {
        Ok(Self::sharing(Arc::new(Settings::new(quota)?)))
    }

    /// One limit per key, each with this quota, for up to `capacity` keys at a time; see [`Keyed`] for what becomes
    /// of keys beyond it. Short for [`new`](Self::new) and [`per_key`](Self::per_key).
    ///
    /// ```
    /// use plimsoll_core::{HeaderKey, Kind, Missing};
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// let key = HeaderKey::from_static("x-api-key");
    /// let limit = RateLimit::keyed(Quota::per_minute(60).burst(5), key, Missing::Share, 10_000)?;
    /// // The quota of every key, those to come included, can be changed:
    /// let handle = limit.handle().spill_cell().handle();
    /// handle.set_quota(Quota::per_minute(120).burst(5))?;
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new), and when `capacity` is zero or more than 2^28.
    pub fn keyed<K>(
        quota: Quota,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Keyed<K, Self>, InvalidKeyedRateLimit> {
        Ok(Self::new(quota)?.per_key(key, missing, capacity)?)
    }

    /// Makes this limit one per key: each key gets a full bucket, all share this limit's quota, name and handle.
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28.
    pub fn per_key<K>(
        self,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Keyed<K, Self>, InvalidKeyed> {
        let settings = self.settings;
        Keyed::new(key, missing, capacity, move || {
            Self::sharing(Arc::clone(&settings))
        })
    }

    /// Tells callers their quota, under this name, in `RateLimit-Policy` and `RateLimit`: on refusals and on the
    /// answers to requests that were let in.
    ///
    /// `q` is the count and `w` the period (when it is whole seconds), `r` what is left of the burst, and `t` the
    /// time until the bucket is full or, when nothing is left, until the next request. The fields are a draft
    /// (draft-ietf-httpapi-ratelimit-headers).
    ///
    /// # Errors
    ///
    /// When the name cannot stand in the fields (see [`Allowance::is_name`]), or there is one already.
    pub fn announce(self, name: &'static str) -> Result<Self, InvalidName> {
        if !Allowance::is_name(name) {
            return Err(InvalidName::Unprintable(name));
        }
        match self.settings.name.set(name) {
            Ok(()) => Ok(self),
            Err(name) => Err(InvalidName::Taken(
                self.settings.name.get().copied().unwrap_or(name),
            )),
        }
    }

    /// Requests that would be let in at `now`, one after the other. (Of a keyed limit's cell: for its key.)
    pub fn available(&self, now: Instant) -> u64 {
        self.bucket
            .tokens(&self.settings.quota, self.settings.epoch.nanos(now))
    }

    /// Reads and changes the settings, at any time. The cells of a keyed limit have the same handle.
    pub fn handle(&self) -> RateLimitHandle {
        RateLimitHandle::new(Arc::clone(&self.settings))
    }

    fn sharing(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            bucket: Bucket::new(),
        }
    }

    #[cold]
    fn refusal(&self, empty: Empty) -> Rejection {
        self.settings.refused.add();
        let wait = Duration::from_nanos(empty.wait);
        let rejection = Rejection::new(Self::NAME, Kind::OverQuota).retry_after(wait);
        match self.settings.name.get() {
            Some(name) => rejection.allowance(self.allowance(name, empty.generation, 0, wait)),
            None => rejection,
        }
    }

    fn allowance(
        &self,
        name: &'static str,
        generation: u64,
        remaining: u64,
        reset: Duration,
    ) -> Allowance {
        let quota = Quota::from_words(self.settings.quota.at(generation));
        // `w` is whole seconds or nothing.
        let window_secs = if quota.period().subsec_nanos() == 0 {
            quota.period().as_secs()
        } else {
            0
        };
        Allowance {
            name,
            limit: quota.count().into(),
            window_secs,
            remaining,
            reset,
        }
    }
}

impl<Req> Policy<Req> for RateLimit {
    type Permit = RateLimitPermit;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, _: &mut Req, now: Instant) -> Verdict<RateLimitPermit, Infallible> {
        match self
            .bucket
            .take(&self.settings.quota, self.settings.epoch.nanos(now))
        {
            Ok(token) => Verdict::Admit(RateLimitPermit(token)),
            Err(empty) => Verdict::Reject(self.refusal(empty)),
        }
    }

    #[inline]
    fn finish(&self, _: RateLimitPermit, _: &Outcome) {}

    fn revoke(&self, permit: RateLimitPermit, _: Instant, _: Instant) {
        self.bucket.give_back(&self.settings.quota, permit.0);
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announce(&self, permit: &RateLimitPermit, _: Instant, out: &mut Announcement<'_>) {
        let Some(name) = self.settings.name.get() else {
            return;
        };
        let Token { word, taken_at, .. } = permit.0;
        let generation = word.generation();
        let terms = Quota::terms(self.settings.quota.at(generation));
        let remaining = terms.remaining(word.tat(), taken_at);
        let reset = if remaining == 0 {
            terms.ask(word.tat(), taken_at).err().unwrap_or(0)
        } else {
            word.tat().saturating_sub(taken_at)
        };
        out.allowance(&self.allowance(name, generation, remaining, Duration::from_nanos(reset)));
    }
}

impl Cell for RateLimit {
    fn reset(&self) {
        self.bucket.fill();
    }

    fn settles_in(&self, now: Instant) -> Duration {
        let now = self.settings.epoch.nanos(now);
        Duration::from_nanos(self.bucket.full_in(&self.settings.quota, now))
    }
}
