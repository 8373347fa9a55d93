//! What a sampled request carries.

use http::Request;

/// Whether a request belongs to the sample, and at which rate it was drawn.
///
/// The layer leaves one in the request's extensions when the rate is below 1; without one everything is kept. What
/// is left out is served all the same: it is the handler that skips what sampling is there to save (a trace, an
/// analytics event, a detailed log line).
///
/// ```
/// use plimsoll_sampling::Sampled;
/// # let mut events = 0.0;
/// # let req = http::Request::new(());
/// let sampled = Sampled::of(&req);
/// if sampled.keep {
///     // Counts that are scaled by the weight are unbiased.
///     events += sampled.weight();
/// }
/// # assert_eq!(events, 1.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Sampled {
    /// Whether it is kept.
    pub keep: bool,
    /// The share of requests that is kept, at the moment of the draw: 0 to 1.
    pub rate: f64,
}

impl Sampled {
    /// Kept, as everything is.
    pub const ALL: Self = Self {
        keep: true,
        rate: 1.0,
    };

    /// The mark of a request, [`ALL`](Self::ALL) when it has none. Behind several sampling layers, the innermost that
    /// left one.
    #[inline]
    pub fn of<B>(req: &Request<B>) -> Self {
        req.extensions().get().copied().unwrap_or(Self::ALL)
    }

    /// How many requests this one stands for: `1 / rate` when it is kept (Horvitz and Thompson's estimator), and 0
    /// when it is not.
    ///
    /// The relative standard error of a count of `n` kept requests is `sqrt((1 - rate) / n)`: with 10,000 of them
    /// at a rate of 1 %, 1 %.
    #[inline]
    pub fn weight(self) -> f64 {
        if self.keep { self.rate.recip() } else { 0.0 }
    }
}
