//! The lease of one key: tokens taken from Redis in batches and spent locally.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use plimsoll_core::policy::Epoch;
use tokio::time::Instant;

use crate::{MAX_QUOTAS, digest::Digest, quotas::Left, script::Reply};

/// The bit of a lease's word that is set while a batch is being fetched.
const FILLING: u64 = 1 << 32;
/// The lowest bit of the generation in a lease's word.
const GENERATION: u64 = 1 << 33;
/// The mask of the tokens in a lease's word: its 32 lowest bits.
const TOKENS: u64 = FILLING - 1;

/// Settings that the leases of one policy share.
#[derive(Debug)]
pub(crate) struct LeaseTerms {
    pub(crate) batch: u32,
    pub(crate) low_water: u32,
    pub(crate) lifetime: Duration,
    pub(crate) epoch: Epoch,
}

/// The tokens of one key.
#[derive(Debug)]
pub(crate) struct Lease {
    terms: Arc<LeaseTerms>,
    /// Tokens in the lowest 32 bits, then whether a batch is being fetched, then the generation:
    /// each key that gets this lease has another one.
    word: AtomicU64,
    /// When the tokens expire.
    until: AtomicU64,
    /// Until when Redis rejects this key, and for which generation; see [`Self::rejected_for`].
    rejected: AtomicU64,
    /// The quota that caused the rejection.
    tightest: AtomicU64,
    /// What was left of each quota in Redis.
    left: [AtomicU64; MAX_QUOTAS],
    /// When Redis granted the newest batch and the one before it, by its clock in microseconds.
    /// Tokens in hand are from one of the two, since the next batch is fetched when few are left.
    granted: [AtomicU64; 2],
    /// The key in Redis, and its generation. Only locked beside a question to Redis.
    owner: Mutex<Option<(u64, Digest)>>,
}

/// The decision of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// Admitted, with tokens that Redis granted at `at` or later. With `fill`, the caller fetches
    /// the next batch.
    Taken {
        generation: u64,
        fill: bool,
        at: u64,
    },
    /// Rejected: Redis has no tokens, either.
    Rejected(Duration),
    /// Too few tokens here. The caller with `fill` fetches a batch, others only their cost.
    Empty { generation: u64, fill: bool },
}

impl Lease {
    pub(crate) fn new(terms: Arc<LeaseTerms>) -> Self {
        Self {
            terms,
            word: AtomicU64::new(0),
            until: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            tightest: AtomicU64::new(0),
            left: Default::default(),
            granted: Default::default(),
            owner: Mutex::new(None),
        }
    }

    #[inline]
    pub(crate) fn take(&self, cost: u32, now: Instant) -> Take {
        let now = self.terms.epoch.nanos(now);
        let mut word = self.word.load(Acquire);
        loop {
            let tokens = word & TOKENS;
            let valid = now < self.until.load(Acquire);
            if !valid || tokens < u64::from(cost) {
                if let Some(wait) = self.rejected_for(word / GENERATION, now) {
                    return Take::Rejected(wait);
                }
                let fill = word & FILLING == 0;
                if !fill {
                    let generation = word / GENERATION;
                    return Take::Empty { generation, fill };
                }
                // Expired tokens must not become valid again with the next batch.
                let kept = if valid { tokens } else { 0 };
                let next = (word & !TOKENS) | kept | FILLING;
                match self.replace(word, next) {
                    Ok(_) => {
                        let generation = word / GENERATION;
                        return Take::Empty { generation, fill };
                    }
                    Err(current) => word = current,
                }
                continue;
            }
            let left = tokens - u64::from(cost);
            let fill = left <= self.terms.low_water.into()
                && word & FILLING == 0
                && self.rejected_for(word / GENERATION, now).is_none();
            let next = (word & !TOKENS) | left | if fill { FILLING } else { 0 };
            match self.replace(word, next) {
                Ok(_) => {
                    let generation = word / GENERATION;
                    let at = self.granted_at();
                    return Take::Taken {
                        generation,
                        fill,
                        at,
                    };
                }
                Err(current) => word = current,
            }
        }
    }

    /// Takes from the tokens in hand, without a question to Redis. Returns the generation, and the
    /// earliest time of their grant.
    pub(crate) fn take_here(&self, cost: u32, now: Instant) -> Option<(u64, u64)> {
        let now = self.terms.epoch.nanos(now);
        let mut word = self.word.load(Acquire);
        while now < self.until.load(Acquire) && word & TOKENS >= u64::from(cost) {
            match self.replace(word, word - u64::from(cost)) {
                Ok(_) => return Some((word / GENERATION, self.granted_at())),
                Err(current) => word = current,
            }
        }
        None
    }

    /// Adds tokens, up to the most that a lease may hold. Returns the rest, to be refunded in
    /// Redis: all of them when the lease belongs to another key by now.
    pub(crate) fn put(&self, count: u32, generation: u64) -> u32 {
        let most = u64::from(self.terms.batch) + u64::from(self.terms.low_water);
        let mut word = self.word.load(Acquire);
        loop {
            let tokens = word & TOKENS;
            let room = most.saturating_sub(tokens).min(count.into());
            if word / GENERATION != generation || room == 0 {
                return count;
            }
            match self.replace(word, word + room) {
                Ok(_) => return count - room as u32,
                Err(current) => word = current,
            }
        }
    }

    /// Refunds tokens of a request that never ran. Returns the rest, to be refunded in Redis: what
    /// exceeds the most that a lease may hold, or all tokens after they have expired.
    pub(crate) fn refund(&self, count: u32, generation: u64, now: Instant) -> u32 {
        if self.terms.epoch.nanos(now) < self.until.load(Acquire) {
            self.put(count, generation)
        } else {
            count
        }
    }

    /// Sets the key that owns the lease in this generation.
    pub(crate) fn set_owner(&self, generation: u64, digest: Digest) {
        let mut owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        *owner = Some((generation, digest));
    }

    /// The key that owned the lease in this generation, if known.
    pub(crate) fn owner(&self, generation: u64) -> Option<Digest> {
        let owner = *self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        owner.and_then(|(then, digest)| (then == generation).then_some(digest))
    }

    /// The earliest time at which Redis granted the tokens in hand.
    fn granted_at(&self) -> u64 {
        self.granted[1].load(Relaxed)
    }

    /// Allows the next batch to be fetched.
    pub(crate) fn filled(&self, generation: u64) {
        let mut word = self.word.load(Acquire);
        while word / GENERATION == generation && word & FILLING != 0 {
            match self.replace(word, word & !FILLING) {
                Ok(_) => return,
                Err(current) => word = current,
            }
        }
    }

    fn replace(&self, word: u64, next: u64) -> Result<u64, u64> {
        self.word.compare_exchange_weak(word, next, AcqRel, Acquire)
    }

    /// Tokens in hand.
    pub(crate) fn tokens(&self, now: Instant) -> u32 {
        if self.terms.epoch.nanos(now) < self.until.load(Acquire) {
            (self.word.load(Acquire) & TOKENS) as u32
        } else {
            0
        }
    }

    /// What is left of each quota: in Redis at its last answer, and here.
    pub(crate) fn left(&self) -> [Left; MAX_QUOTAS] {
        let here = (self.word.load(Relaxed) & TOKENS) as u32;
        self.left.each_ref().map(|word| {
            let word = word.load(Relaxed);
            Left {
                requests: ((word >> 32) as u32).saturating_add(here),
                reset_millis: word as u32,
            }
        })
    }

    /// The quota that caused the last rejection.
    pub(crate) fn tightest(&self) -> usize {
        self.tightest.load(Relaxed) as usize
    }

    /// How long Redis rejects this generation. Stored in microseconds with the lowest 16 bits of
    /// the generation, so that an answer for the previous key does not apply to the next.
    fn rejected_for(&self, generation: u64, now: u64) -> Option<Duration> {
        let word = self.rejected.load(Acquire);
        let until = (word >> 16).saturating_mul(1000);
        let same = word & 0xffff == generation & 0xffff;
        (same && now < until).then(|| Duration::from_nanos(until - now))
    }

    pub(crate) fn apply(
        &self,
        reply: &Reply,
        generation: u64,
        now: Instant,
        rejected_for_one: bool,
    ) {
        let now = self.terms.epoch.nanos(now);
        let (Reply::Granted { left, .. } | Reply::Rejected { left, .. }) = reply else {
            return;
        };
        for (word, left) in self.left.iter().zip(left) {
            let packed = u64::from(left.requests) << 32 | u64::from(left.reset_millis);
            word.store(packed, Relaxed);
        }
        match reply {
            Reply::Granted { at, .. } => {
                // Tokens still in hand are from the batch before.
                let before = match self.word.load(Relaxed) & TOKENS {
                    0 => *at,
                    _ => self.granted[0].load(Relaxed),
                };
                self.granted[1].store(before, Relaxed);
                self.granted[0].store(*at, Relaxed);
                let lifetime = self.terms.lifetime.as_nanos() as u64;
                self.until.store(now.saturating_add(lifetime), Release);
            }
            Reply::Rejected { wait, tightest, .. } if rejected_for_one => {
                self.tightest.store((*tightest).into(), Relaxed);
                let until = now.saturating_add(wait.as_nanos() as u64);
                let word = until.div_ceil(1000) << 16 | generation & 0xffff;
                self.rejected.store(word, Release);
            }
            _ => {}
        }
    }

    /// Gives the lease to another key.
    pub(crate) fn reset(&self) {
        self.until.store(0, Release);
        self.rejected.store(0, Release);
        let generation = self.word.load(Acquire) / GENERATION;
        self.word
            .store(generation.wrapping_add(1) * GENERATION, Release);
    }

    /// How long until removing the lease loses no tokens.
    pub(crate) fn settles_in(&self, now: Instant) -> Duration {
        let nanos = self.terms.epoch.nanos(now);
        let tokens = match self.tokens(now) {
            0 => 0,
            _ => self.until.load(Acquire),
        };
        let here = Duration::from_nanos(tokens.saturating_sub(nanos));
        let generation = self.word.load(Acquire) / GENERATION;
        here.max(self.rejected_for(generation, nanos).unwrap_or_default())
    }
}
