//! The `Sampling` policy.

use std::{convert::Infallible, fmt, sync::Arc};

use plimsoll_core::{
    Class, Kind, LoadSignal, Outcome, Policy, Rejection,
    policy::{Interests, Verdict},
};
use tokio::time::Instant;

use crate::{
    ByKey, Draw, InvalidRates, Mark, Mode, Random, Rates, Reject, RejectAndMark, Sampled,
    SamplingHandle, handle::Shared,
};

/// Keeps a share of the requests that falls as the load rises.
///
/// By default it [marks](Mark) requests: all are served, and the handler reads [`Sampled::of`] to
/// skip its recording. For ingest routes, whose requests are the data to be sampled,
/// [`reject_and_mark`](Self::reject_and_mark) answers requests that are left out with 202;
/// [`refuse`](Self::reject) does so for requests that are not HTTP.
///
/// # How it decides
///
/// The load gives a rate ([`Rates::rate`]), the request a number in `0.0..1.0` ([`Draw`]). The
/// request is kept when the number is below the rate, so a request that is kept at a rate is kept
/// at every higher rate. At a rate of 1 nothing is drawn, and the request is not marked.
///
/// # Shared state and cloning
///
/// Rates and counters belong to this value; a layer shares it among all services it makes.
///
/// # Cancellation
///
/// A request that was counted stays counted, however it ends, unless a later policy or an inner
/// gate rejects it: then its handler never ran, and the count is taken back.
#[doc(alias("sampler", "brownout", "load-adaptive", "degradation"))]
pub struct Sampling<L, D = Random, M = Mark> {
    signal: L,
    draw: D,
    mode: M,
    shared: Arc<Shared>,
}

/// How a request was counted.
#[derive(Debug, Clone, Copy)]
pub struct SamplingPermit {
    keep: bool,
}

impl<L: LoadSignal> Sampling<L> {
    /// Samples by the load of `signal`, at these rates; marks, and draws at random.
    ///
    /// ```
    /// use plimsoll_sampling::{Rates, Sampling};
    ///
    /// let load = || 0.4; // a policy's `load()`, a queue's depth, ...
    /// let sampling = Sampling::new(load, Rates { min: 0.05, ..Rates::DEFAULT })?;
    /// assert_eq!(sampling.rate(), 1.0);
    /// # Ok::<_, plimsoll_sampling::InvalidRates>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `base` is not above 0 and at most 1, `min` not in 0 to `base`, or `threshold` not at
    /// least 0 and below 1.
    pub fn new(signal: L, rates: Rates) -> Result<Self, InvalidRates> {
        let shared = Arc::new(Shared::new(rates)?);
        Ok(Self {
            signal,
            draw: Random,
            mode: Mark,
            shared,
        })
    }
}

impl Sampling<(), Random, Mark> {
    /// The name of this policy in rejections.
    pub const NAME: &'static str = "sampling";
}

impl<L, D, M> Sampling<L, D, M> {
    /// Draws by a key, so that requests of one key are kept or left out together.
    ///
    /// An example is [`TraceId`](crate::TraceId). To set a salt, pass a [`ByKey`] to
    /// [`draw`](Self::draw).
    pub fn by_key<K>(self, key: K) -> Sampling<L, ByKey<K>, M> {
        self.draw(ByKey::new(key))
    }

    /// Replaces the draw.
    pub fn draw<E>(self, draw: E) -> Sampling<L, E, M> {
        Sampling {
            signal: self.signal,
            draw,
            mode: self.mode,
            shared: self.shared,
        }
    }

    /// Rejects requests that are left out, instead of marking them; works on every request type.
    ///
    /// Kept requests are not marked, so their weight is unknown when the rate changes. For HTTP
    /// requests use [`reject_and_mark`](Self::reject_and_mark).
    pub fn reject(self) -> Sampling<L, D, Reject> {
        self.mode(Reject)
    }

    /// Rejects requests that are left out, and marks those that are kept.
    pub fn reject_and_mark(self) -> Sampling<L, D, RejectAndMark> {
        self.mode(RejectAndMark)
    }

    /// Replaces the treatment of requests that are left out.
    pub fn mode<N>(self, mode: N) -> Sampling<L, D, N> {
        Sampling {
            signal: self.signal,
            draw: self.draw,
            mode,
            shared: self.shared,
        }
    }

    /// A handle that reads and changes the rates, and reads the counters.
    pub fn handle(&self) -> SamplingHandle {
        SamplingHandle::new(Arc::clone(&self.shared))
    }

    /// The draw that decides which requests are kept.
    pub const fn get_draw(&self) -> &D {
        &self.draw
    }
}

impl<L: LoadSignal, D, M> Sampling<L, D, M> {
    /// The rate at the current load.
    #[inline]
    pub fn rate(&self) -> f64 {
        self.shared.rates().rate(self.signal.load())
    }

    /// Decides on a request.
    #[inline]
    fn sample<Req>(&self, req: &Req) -> Sampled
    where
        D: Draw<Req>,
    {
        let rate = self.rate();
        // Every draw is below 1.
        let keep = rate >= 1.0 || self.draw.draw(req) < rate;
        Sampled { keep, rate }
    }
}

impl<Req, L, D, M> Policy<Req> for Sampling<L, D, M>
where
    L: LoadSignal + Send + Sync,
    D: Draw<Req>,
    M: Mode<Req>,
{
    type Permit = SamplingPermit;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, req: &mut Req, _: Instant) -> Verdict<SamplingPermit, Infallible> {
        let sampled = self.sample(req);
        self.shared.keep_rate(sampled.rate);
        let admitted = self.mode.apply(req, sampled);
        // Last, since a user's draw or mode may panic.
        self.shared.count(sampled.keep);
        if admitted {
            Verdict::Admit(SamplingPermit { keep: sampled.keep })
        } else {
            Verdict::Reject(Rejection::new(Sampling::NAME, Kind::Skipped))
        }
    }

    #[inline]
    fn finish(&self, permit: SamplingPermit, outcome: &Outcome) {
        if outcome.class == Class::Rejected {
            self.shared.uncount(permit.keep);
        }
    }

    #[inline]
    fn revoke(&self, permit: SamplingPermit, _: Instant, _: Instant) {
        self.shared.uncount(permit.keep);
    }

    #[inline]
    fn interests(&self, _: Interests) -> Interests {
        Interests::NONE
    }
}

impl<L, D: fmt::Debug, M: fmt::Debug> fmt::Debug for Sampling<L, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampling")
            .field("rates", &self.shared.rates())
            .field("draw", &self.draw)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
