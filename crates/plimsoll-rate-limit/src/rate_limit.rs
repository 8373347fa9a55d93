//! `RateLimit`: the policy, for all requests together.

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Relaxed},
        },
    },
};

use plimsoll_core::{Announcement, Missing, Outcome, Policy, Verdict, lanes};
use tokio::time::Instant;

use crate::{
    GiveBack, InvalidKeyedRateLimit, InvalidQuota, InvalidWarmUp, KeyedRateLimit, One, Quota,
    RateLimitHandle, WarmUp, Weigh,
    cell::{Cell, Empty, Stale, Token},
    lanes::Lanes,
    refunds::{Ledger, Refunds},
    settings::Settings,
    share::Share,
    sync::AtomicU64,
    terms::Terms,
    warm_up::Warming,
    word::{MAX_NOW, Word},
};

/// Admits as many requests as its [`Quota`]s allow, and refuses the others with the exact time to come back.
///
/// # How it decides
///
/// By default a token bucket, kept as the generic cell rate algorithm (GCRA, ITU-T I.371): the state is the moment at
/// which the bucket will be full again, in one atomic. A request that is let in moves it on by one increment; a refused one
/// writes nothing. In any stretch of time `t` at most `burst + t / increment` requests are let in. [`Quota`] lists the
/// other algorithms; each keeps its state in one atomic, too.
///
/// On several cores a bucket with a burst large enough (32 per core) is leased out to them in small batches, so that it does not get
/// slower as they get more; that changes no guarantee.
///
/// # Costs
///
/// A request takes one, or what [`cost`](Self::cost) says it weighs. What a call costs that is known only at its end is taken
/// then ([`charge`](Self::charge)), even if that leaves a debt.
///
/// # Rejections elsewhere
///
/// The tokens of a request that a later policy rejects are given back:
///
/// * Rejected at once, or when no token was taken after it: exactly, as if the request had never
///   arrived.
/// * After a wait in a later queue: the bucket is never fuller than that. It lacks at most the
///   tokens that are refilled within the longest wait. The bound holds for all waiters together, in
///   any order of rejection, and does not add up from wait to wait. With more than 1,024 waiters
///   that are rejected out of order, fewer tokens may be given back.
/// * A window: everything that still counts.
///
/// # Shared state and cloning
///
/// The state lives in this value; the layer shares it among all services it makes.
///
/// # Cancellation
///
/// A request that is let in has spent its token, however it ends.
pub struct RateLimit<const N: usize = 1, C = One> {
    settings: Arc<Settings<N>>,
    cost: C,
    state: State<N>,
    /// For a bucket that nobody is told of and that is only taken from: all there is to it is its speed.
    lanes: Option<Lanes>,
    /// Whether requests take from the cell at once: neither from leases nor while it warms up.
    ///
    /// Performance: one test in place of one for leases and one for warm-up (`instructions`,
    /// `rate-limit@accept`).
    at_once: AtomicBool,
    /// Whether a refund or a charge is set, so that the end of a request changes something.
    ///
    /// Performance: one plain test at the end of a request in place of two atomic ones behind a
    /// pointer (`instructions`, `rate-limit@accept`).
    settles: bool,
}

/// A cell of its own.
#[derive(Debug)]
pub(crate) struct State<const N: usize> {
    returned: AtomicU64,
    words: [AtomicU64; N],
    pub(crate) refunds: Refunds<N>,
}

/// What an admitted request took. Plain data.
#[derive(Debug, Clone, Copy)]
pub struct RateLimitPermit<const N: usize = 1>(Token<N>);

impl RateLimit {
    /// The name under which this policy refuses.
    pub const NAME: &'static str = "rate-limit";

    /// One limit for all requests; nothing has been taken yet.
    ///
    /// # Errors
    ///
    /// When the quota's count, burst or period is zero, the period or the time to refill the burst is more than
    /// 365 days, the rate is more than one per nanosecond, a window's count is too large or has a burst, or the name
    /// cannot stand in a header.
    pub fn new(quota: Quota) -> Result<Self, InvalidQuota> {
        Self::all([quota])
    }

    /// One limit per key, each with this quota, for up to `capacity` keys at a time; see [`KeyedRateLimit`]. Short for
    /// [`new`](Self::new) and [`per_key`](Self::per_key).
    ///
    /// ```
    /// use plimsoll_core::{HeaderKey, Missing};
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// let key = HeaderKey::from_static("x-tenant");
    /// let limit = RateLimit::keyed(Quota::per_minute(60).burst(5), key, Missing::Share, 10_000)?;
    /// // The quota of every key, those to come included, can be changed:
    /// limit.handle().limit().set_quota(Quota::per_minute(120).burst(5))?;
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
    ) -> Result<KeyedRateLimit<K>, InvalidKeyedRateLimit> {
        Self::new(quota)?.per_key(key, missing, capacity)
    }
}

impl<const N: usize> RateLimit<N> {
    /// Several quotas at once, such as ten a second and a thousand an hour: a request takes from all of them, or is refused
    /// and takes from none.
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
        let told = quotas.iter().any(|quota| quota.name().is_some());
        Ok(Self {
            settings: Arc::new(Settings::new(quotas)?),
            cost: One,
            state: State::new(),
            lanes: if N == 1 && !told {
                Lanes::new(lanes())
            } else {
                None
            },
            at_once: AtomicBool::new(true),
            settles: false,
        })
    }
}

impl<const N: usize, C> RateLimit<N, C> {
    /// A request takes as much as `cost` says it weighs; see [`Weigh`].
    ///
    /// ```
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// // A search costs ten.
    /// let limit = RateLimit::new(Quota::per_second(100))?
    ///     .cost(|req: &http::Request<()>| if req.uri().path() == "/search" { 10 } else { 1 });
    /// # Ok::<_, plimsoll_rate_limit::InvalidQuota>(())
    /// ```
    pub fn cost<W>(self, cost: W) -> RateLimit<N, W> {
        RateLimit {
            settings: self.settings,
            cost,
            state: self.state,
            lanes: self.lanes,
            at_once: self.at_once,
            settles: self.settles,
        }
    }

    /// Takes what a call turned out to cost when it is over, beyond what it took when it was let in: bytes sent, tokens
    /// generated. That may leave a debt, for at most 417 days; nobody is let in until it is paid. (A window counts what it
    /// can and forgets debts at its end.)
    ///
    /// ```
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// // 512 KiB a second, in units of 1 KiB. Who has sent too much waits.
    /// let limit = RateLimit::new(Quota::per_second(512))?
    ///     .charge(|outcome| outcome.bytes() / 1024);
    /// // What the handler reports through `plimsoll_core::Cost`:
    /// let limit = RateLimit::new(Quota::per_minute(100_000))?
    ///     .charge(|outcome| outcome.cost());
    /// # Ok::<_, plimsoll_rate_limit::InvalidQuota>(())
    /// ```
    ///
    /// Once: of several charges the first counts.
    #[must_use]
    pub fn charge(mut self, charge: impl Fn(&Outcome) -> u64 + Send + Sync + 'static) -> Self {
        _ = self.settings.charge.set(Box::new(charge));
        self.lanes = None;
        self.settles = true;
        self
    }

    /// Gives back tokens at the end of a request, depending on its outcome.
    ///
    /// `refund` returns a `bool` (all of them or none) or a `u32` (how many); see [`GiveBack`].
    ///
    /// The tokens are taken when the request is admitted. So a hundred concurrent requests are not
    /// all admitted before the first one has failed. A bucket gives back the tokens that it has not
    /// refilled since; a window gives back tokens that were taken in the current window.
    ///
    /// ```
    /// use std::time::Duration;
    /// use plimsoll_core::{Class, ClientIp, Missing};
    /// use plimsoll_rate_limit::{Quota, RateLimit};
    ///
    /// // Five failed log-ins per address in a quarter of an hour; those that succeed do not count.
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
    /// When `refund` panics, no token is given back and nothing is charged. The limit stays usable.
    #[must_use]
    pub fn refund<R: Into<GiveBack>>(
        mut self,
        refund: impl Fn(&Outcome) -> R + Send + Sync + 'static,
    ) -> Self {
        _ = self
            .settings
            .refund
            .set(Box::new(move |outcome| refund(outcome).into()));
        self.lanes = None;
        self.settles = true;
        self
    }

    /// Makes this limit one per key: each key has all quotas for itself, all share this limit's settings and handle.
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28, or the limit warms up: a service is cold, not a key.
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

    /// What a request could take at `now`: of several quotas, what all of them have left.
    pub fn available(&self, now: Instant) -> u64 {
        let now = self.settings.nanos(now);
        match &self.lanes {
            None => match self.settings.warming.get().map(Warming::ramp) {
                None => self.cell().remaining(Share::FULL, now),
                Some(ramp) => self.cell().remaining(ramp.share(now), ramp.time(now)),
            },
            Some(lanes) => self.cell().remaining_with(lanes, now),
        }
    }

    /// Reads and changes the quotas, at any time.
    pub fn handle(&self) -> RateLimitHandle<N> {
        RateLimitHandle::new(Arc::clone(&self.settings))
    }

    #[inline]
    fn cell(&self) -> Cell<'_, N> {
        self.state.cell(&self.settings)
    }

    /// The log of recent refunds.
    fn ledger(&self) -> Ledger<'_, N> {
        Ledger {
            refunds: &self.state.refunds,
            owner: 0,
            leased: self.lanes.as_ref().is_some_and(Lanes::are_hot),
        }
    }

    /// Where it is hot, warms up, or somebody else was there `at_once`.
    #[inline(never)]
    fn take_otherwise(&self, at_once: bool, now: u64, cost: u32) -> Result<Token<N>, Empty> {
        match (&self.lanes, self.settings.warming.get()) {
            (Some(lanes), _) => {
                if at_once {
                    lanes.heat();
                    self.at_once.store(false, Relaxed);
                }
                lanes.take(self.cell(), now, cost)
            }
            (None, None) => self.cell().take(now, cost),
            (None, Some(warming)) => self.take_warming(warming, now, cost),
        }
    }

    #[inline(never)]
    fn settle(&self, token: &Token<N>, outcome: &Outcome) {
        if let Some(back) = self.settings.given_back(token, outcome) {
            // When it was taken is not known here, and need not be: what of it lies ahead is.
            let held = (0, self.settings.time(outcome.ended()));
            self.cell().give_back(back, held, self.ledger());
        }
        if let Some(due) = self.settings.due(outcome) {
            self.cell().charge(self.settings.time(outcome.ended()), due);
        }
    }

    #[cold]
    fn take_warming(&self, warming: &Warming, now: u64, cost: u32) -> Result<Token<N>, Empty> {
        let now = now.min(MAX_NOW);
        // A bucket's state is the moment at which it is, or was, full.
        let full_at = Word(self.state.words[0].load(Acquire)).state();
        let ramp = warming.ramp_at(full_at, now);
        let taken = self.cell().take_cold(ramp.share(now), ramp.time(now), cost);
        taken.map_err(|empty| Empty {
            wait: empty.wait.map(|wait| ramp.until(now, wait)),
            ..empty
        })
    }
}

impl<C> RateLimit<1, C> {
    /// After a pause, lets the rate rise from a part of the quota's to all of it; see [`WarmUp`]. Once: of several the first
    /// counts; its [handle](RateLimitHandle::set_warm_up) changes it.
    ///
    /// # Errors
    ///
    /// When the coldest rate is no part of the rate, or less than a thousandth; when a duration is zero or more than 365
    /// days; or when the quota is a window, which has no rate.
    pub fn warm_up(mut self, warm_up: WarmUp) -> Result<Self, InvalidWarmUp> {
        let (_, terms) = Terms::read(&self.settings.quotas[0]);
        if matches!(terms, Terms::Window(_)) {
            return Err(InvalidWarmUp::Window);
        }
        _ = self.settings.warming.set(Warming::new(warm_up)?);
        self.lanes = None;
        self.at_once = AtomicBool::new(false);
        Ok(self)
    }
}

impl<const N: usize> State<N> {
    pub(crate) fn new() -> Self {
        Self {
            returned: AtomicU64::new(0),
            words: std::array::from_fn(|_| AtomicU64::new(0)),
            refunds: Refunds::new(),
        }
    }

    #[inline]
    pub(crate) fn cell<'a>(&'a self, settings: &'a Settings<N>) -> Cell<'a, N> {
        Cell {
            quotas: &settings.quotas,
            tag: &self.returned,
            words: &self.words,
        }
    }
}

impl<Req, const N: usize, C: Weigh<Req>> Policy<Req> for RateLimit<N, C> {
    type Permit = RateLimitPermit<N>;
    plimsoll_core::decides_at_once!(Req);

    #[inline(always)]
    #[allow(clippy::inline_always)] // a call, and a verdict written down and read, cost a third of what is decided
    fn admit(&self, req: &mut Req, now: Instant) -> Verdict<RateLimitPermit<N>, Infallible> {
        let now = self.settings.nanos(now);
        let cost = self.cost.weigh(req);
        // What is usual comes first, and is short enough to be inlined.
        let at_once = self.at_once.load(Relaxed);
        let taken = if at_once {
            self.cell().try_take(now.min(MAX_NOW), cost)
        } else {
            Err(Stale)
        };
        let empty = match taken {
            Ok(Ok(token)) => return Verdict::Admit(RateLimitPermit(token)),
            Ok(Err(empty)) => empty,
            Err(Stale) => match self.take_otherwise(at_once, now, cost) {
                Ok(token) => return Verdict::Admit(RateLimitPermit(token)),
                Err(empty) => empty,
            },
        };
        Verdict::Reject(self.settings.refusal(empty))
    }

    #[inline]
    fn finish(&self, permit: RateLimitPermit<N>, outcome: &Outcome) {
        if self.settles {
            // A clone, since an outcome that others may see has to be written down, for the many as well that charge nothing.
            self.settle(&permit.0, &outcome.clone());
        }
    }

    fn revoke(&self, permit: RateLimitPermit<N>, admitted: Instant, now: Instant) {
        let held = (self.settings.time(admitted), self.settings.time(now));
        self.cell().give_back(permit.0, held, self.ledger());
    }

    #[inline]
    fn reads_latency(&self) -> bool {
        false
    }

    #[inline]
    fn announces(&self) -> bool {
        self.settings.announces()
    }

    #[inline]
    fn announce(&self, permit: &RateLimitPermit<N>, admitted: Instant, out: &mut Announcement<'_>) {
        self.settings.announce(&permit.0, admitted, out);
    }
}

impl<const N: usize, C: fmt::Debug> fmt::Debug for RateLimit<N, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
