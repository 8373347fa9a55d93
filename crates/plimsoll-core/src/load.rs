//! Load as one number, and what sampling keeps at a load.

mod rates;

use std::sync::Arc;

pub use self::rates::{InvalidRates, LiveRates, Rates};

/// A load: 0 idle, 1 at capacity, above 1 beyond it.
///
/// Concurrency limits, queues and closures provide one; shedding, sampling, degradation and health
/// checks read it. Reading must be cheap (one or two atomics), since it happens on every request.
///
/// ```
/// use plimsoll_core::LoadSignal;
/// let constant = || 0.7;
/// assert_eq!(constant.load(), 0.7);
/// ```
#[doc(alias("utilization", "backpressure"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no load",
    note = "a `LoadSignal` is a policy with a `load()` or a closure `|| -> f64`: 0 idle, 1 at capacity"
)]
pub trait LoadSignal {
    /// Returns the load now. NaN counts as 0.
    fn load(&self) -> f64;
}

impl<F: Fn() -> f64> LoadSignal for F {
    #[inline]
    fn load(&self) -> f64 {
        self()
    }
}

impl<L: LoadSignal + ?Sized> LoadSignal for Arc<L> {
    #[inline]
    fn load(&self) -> f64 {
        (**self).load()
    }
}

/// The higher of two loads.
#[derive(Debug, Clone, Copy)]
pub struct Worst<A, B>(pub A, pub B);

impl<A: LoadSignal, B: LoadSignal> LoadSignal for Worst<A, B> {
    #[inline]
    fn load(&self) -> f64 {
        // `f64::max` returns the other operand when one is NaN.
        self.0.load().max(self.1.load())
    }
}

/// The higher of two loads, so that a pair of policies with a load has a load.
impl<A: LoadSignal, B: LoadSignal> LoadSignal for (A, B) {
    #[inline]
    fn load(&self) -> f64 {
        self.0.load().max(self.1.load())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_two_signals_is_the_highest_that_is_a_number() {
        let load = |signal: &dyn LoadSignal| format!("{:.1}", signal.load());
        assert_eq!(load(&|| 0.5), "0.5");
        assert_eq!(load(&Arc::new(|| 0.5)), "0.5");
        assert_eq!(load(&Worst(|| 0.5, || 1.5)), "1.5");
        assert_eq!(load(&(|| 2.5, || f64::NAN)), "2.5");
    }
}
