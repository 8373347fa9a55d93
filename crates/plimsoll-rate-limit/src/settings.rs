//! Settings that all cells of one limit share.

use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use plimsoll_core::{
    Kind, Outcome, Rejection,
    policy::{Allowance, Announcement, Counter, Epoch, Live},
};
use tokio::time::Instant;

use crate::{
    InvalidQuota, Quota, Refund,
    calendar::{Anchor, both_clocks},
    terms::{LiveQuota, Terms},
    token::{Empty, Token},
    warm_up::Warming,
    word::Word,
};

/// The name of the policies in their rejections.
pub(crate) const NAME: &str = "rate-limit";

/// Computes the additional cost of a call that has ended.
pub(crate) type Charge = Box<dyn Fn(&Outcome) -> u64 + Send + Sync>;

/// Computes the part of its cost that is refunded at the end of a request.
pub(crate) type RefundOf = Box<dyn Fn(&Outcome) -> Refund + Send + Sync>;

pub(crate) struct Settings<const N: usize> {
    pub(crate) quotas: [LiveQuota; N],
    pub(crate) names: [Option<&'static str>; N],
    pub(crate) epoch: Epoch,
    /// Set when the first calendar window is made. Locked while quotas are changed.
    anchor: Mutex<Option<Anchor>>,
    pub(crate) charge: OnceLock<Charge>,
    pub(crate) refund: OnceLock<RefundOf>,
    pub(crate) warming: OnceLock<Warming>,
    pub(crate) rejected: Counter,
}

impl<const N: usize> Settings<N> {
    pub(crate) fn new(quotas: [Quota; N]) -> Result<Self, InvalidQuota> {
        if N == 0 {
            return Err(InvalidQuota::NoQuotas);
        }
        let epoch = Epoch::new();
        let mut anchor = None;
        let mut words = [[0; 4]; N];
        for (words, quota) in words.iter_mut().zip(quotas) {
            *words = quota.words(anchored(&mut anchor, &epoch, quota), None)?;
        }
        Ok(Self {
            quotas: words.map(Live::new),
            names: quotas.map(|quota| quota.name()),
            epoch,
            anchor: Mutex::new(anchor),
            charge: OnceLock::new(),
            refund: OnceLock::new(),
            warming: OnceLock::new(),
            rejected: Counter::new(),
        })
    }

    /// Changes all quotas, or none of them when one is invalid.
    pub(crate) fn set(&self, quotas: [Quota; N]) -> Result<(), InvalidQuota> {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = [[0; 4]; N];
        for ((words, quota), live) in words.iter_mut().zip(quotas).zip(&self.quotas) {
            let (_, old) = Terms::read(live);
            *words = quota.words(anchored(&mut anchor, &self.epoch, quota), Some(old))?;
        }
        for (live, words) in self.quotas.iter().zip(words) {
            live.set(words);
        }
        Ok(())
    }

    /// Sets the wall clock that calendar windows follow.
    pub(crate) fn set_anchor(&self, to: Anchor) {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        *anchor = Some(to);
        for live in &self.quotas {
            let (_, old) = live.read();
            let quota = Quota::from_words(old);
            let terms = Terms::from_words([old[0], old[1]]);
            // Valid before, so it is valid now.
            if let Ok(words) = quota.words(to, Some(terms)) {
                if words != old && quota.calendar_unit().is_some() {
                    live.set(words);
                }
            }
        }
    }

    #[inline]
    pub(crate) fn nanos(&self, now: Instant) -> u64 {
        self.epoch.nanos(now)
    }

    /// The time on the bucket's own clock, which runs slower during a warm-up; see
    /// [`Ramp`](crate::warm_up::Ramp).
    pub(crate) fn time(&self, now: Instant) -> u64 {
        let nanos = self.nanos(now);
        match self.warming.get() {
            None => nanos,
            Some(warming) => warming.ramp().time(nanos),
        }
    }

    /// Whether a refund or a charge is set, so that the end of a request changes something.
    pub(crate) fn uses_outcomes(&self) -> bool {
        self.charge.get().is_some() || self.refund.get().is_some()
    }

    /// The part of the token that is refunded at the end of a request.
    pub(crate) fn refunded_of(&self, token: &Token<N>, outcome: &Outcome) -> Option<Token<N>> {
        // Nothing was taken: a cost of 0, or a request that was not counted.
        let refund = self.refund.get().filter(|_| token.cost > 0)?;
        let cost = refund(outcome).of(token.cost);
        let mut back = *token;
        back.cost = cost;
        (cost > 0).then_some(back)
    }

    /// The additional cost of a call that has ended.
    pub(crate) fn due(&self, outcome: &Outcome) -> Option<u32> {
        let charge = self.charge.get()?;
        Some(u32::try_from(charge(outcome)).unwrap_or(u32::MAX)).filter(|due| *due > 0)
    }

    #[cold]
    pub(crate) fn rejection(&self, empty: Empty) -> Rejection {
        self.rejected.add();
        let Empty {
            quota,
            wait,
            generation,
        } = empty;
        let rejection = Rejection::new(NAME, Kind::OverQuota);
        // A request that can never be admitted gives no estimate for others.
        let Some(wait) = wait.map(Duration::from_nanos) else {
            return rejection;
        };
        let rejection = rejection.with_retry_after(wait);
        match self.names[quota] {
            Some(name) => {
                rejection.with_allowance(self.allowance((name, quota, generation), 0, wait))
            }
            None => rejection,
        }
    }

    /// Whether any quota has a name and is reported to callers.
    #[inline]
    pub(crate) fn announces(&self) -> bool {
        self.names.iter().any(Option::is_some)
    }

    pub(crate) fn announce(&self, token: &Token<N>, admitted: Instant, out: &mut Announcement<'_>) {
        if !self.announces() {
            return;
        }
        let then = self.nanos(admitted);
        let ramp = self.warming.get().map(Warming::ramp);
        let time = ramp.map_or(then, |ramp| ramp.time(then));
        for (quota, (name, word)) in self.names.iter().zip(token.words).enumerate() {
            if let Some(name) = *name {
                let mut left = self.left(name, quota, word, time);
                if let Some(ramp) = ramp {
                    let reset = left.reset.as_nanos() as u64;
                    left.reset = Duration::from_nanos(ramp.until(then, reset));
                }
                out.allowance(&left);
            }
        }
    }

    /// What a quota had left, and the time until it is full, or until the next request when nothing
    /// is left.
    fn left(&self, name: &'static str, quota: usize, word: Word, then: u64) -> Allowance {
        let generation = word.generation();
        let terms = Terms::at(&self.quotas[quota], generation);
        let remaining = terms.remaining(word.state(), then);
        let reset = if remaining == 0 {
            let asked = terms.decide(word.state(), then, 1);
            asked.err().flatten().unwrap_or(0)
        } else {
            terms.settles_in(word.state(), then)
        };
        self.allowance(
            (name, quota, generation),
            remaining,
            Duration::from_nanos(reset),
        )
    }

    fn allowance(
        &self,
        (name, quota, generation): (&'static str, usize, u64),
        remaining: u64,
        reset: Duration,
    ) -> Allowance {
        let quota = Quota::from_words(self.quotas[quota].at(generation));
        // `w` is whole seconds, or left out.
        let window_secs = match quota.period() {
            period if period.subsec_nanos() == 0 => period.as_secs(),
            _ => 0,
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

/// The anchor for a quota. Reads the clocks for the first calendar window.
fn anchored(anchor: &mut Option<Anchor>, epoch: &Epoch, quota: Quota) -> Anchor {
    if quota.calendar_unit().is_none() {
        return Anchor::UNIX;
    }
    *anchor.get_or_insert_with(|| {
        let (now, since_1970) = both_clocks();
        Anchor::new(epoch, now, since_1970)
    })
}

impl<const N: usize> fmt::Debug for Settings<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quotas = self
            .quotas
            .each_ref()
            .map(|quota| Quota::from_words(quota.read().1));
        f.debug_struct("Settings")
            .field("quotas", &quotas)
            .field("names", &self.names)
            .field("rejected", &self.rejected)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
