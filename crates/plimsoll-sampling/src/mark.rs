//! The mark on a sampled request.

use http::Request;

/// Whether a request belongs to the sample, and the rate at which it was drawn.
///
/// The layer stores it in the request's extensions when the rate is below 1; a request without it
/// is kept. A request that is left out is also served: the handler skips the work that sampling
/// should save (a trace, an analytics event, a detailed log line).
///
/// ```
/// use plimsoll_sampling::Sampled;
/// # let mut events = 0.0;
/// # let req = http::Request::new(());
/// let sampled = Sampled::of(&req);
/// if sampled.keep {
///     // Counts scaled by the weight are unbiased.
///     events += sampled.weight();
/// }
/// # assert_eq!(events, 1.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Sampled {
    /// Whether the request is kept.
    pub keep: bool,
    /// The share of requests that was kept at the time of the draw: 0 to 1.
    pub rate: f64,
}

impl Sampled {
    /// The mark of a request that was kept at a rate of 1.
    pub const ALL: Self = Self {
        keep: true,
        rate: 1.0,
    };

    /// The mark of a request, [`ALL`](Self::ALL) when it has none. Behind several sampling layers,
    /// the mark of the innermost layer that set one.
    #[inline]
    pub fn of<B>(req: &Request<B>) -> Self {
        req.extensions().get().copied().unwrap_or(Self::ALL)
    }

    /// The number of requests that this one represents: `1 / rate` when it is kept (the
    /// Horvitz-Thompson estimator), 0 when it is not.
    ///
    /// The relative standard error of a count of `n` kept requests is `sqrt((1 - rate) / n)`: with
    /// 10,000 of them at a rate of 1 %, 1 %.
    #[inline]
    pub fn weight(self) -> f64 {
        if self.keep { self.rate.recip() } else { 0.0 }
    }
}
