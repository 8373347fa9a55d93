//! How loaded something is, as one number.

use std::sync::Arc;

/// A load: 0 idle, 1 at the line, above 1 beyond it.
///
/// Concurrency limits, queues and closures provide one; shedding, sampling, degradation and health read it.
/// Reading must be cheap (an atomic or two): it happens on every request.
///
/// ```
/// use plimsoll_core::LoadSignal;
/// let constant = || 0.7;
/// assert_eq!(constant.load(), 0.7);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` tells no load",
    note = "a `LoadSignal` is a policy's `load()` or a closure `|| -> f64`: 0 idle, 1 at the line"
)]
pub trait LoadSignal {
    /// The load now. A value that is not a number reads as 0 where it is used.
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

/// The worst of several signals.
#[derive(Debug, Clone, Copy)]
pub struct Worst<A, B>(pub A, pub B);

impl<A: LoadSignal, B: LoadSignal> LoadSignal for Worst<A, B> {
    #[inline]
    fn load(&self) -> f64 {
        // `f64::max` prefers the number when the other is not one.
        self.0.load().max(self.1.load())
    }
}

/// The worst of both: so the tuple of two policies that have a load has one.
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
    fn the_worst_of_several_signals_is_the_highest_that_is_a_number() {
        let load = |signal: &dyn LoadSignal| format!("{:.1}", signal.load());
        assert_eq!(load(&|| 0.5), "0.5");
        assert_eq!(load(&Arc::new(|| 0.5)), "0.5");
        assert_eq!(load(&Worst(|| 0.5, || 1.5)), "1.5");
        assert_eq!(load(&(|| 2.5, || f64::NAN)), "2.5");
    }
}
