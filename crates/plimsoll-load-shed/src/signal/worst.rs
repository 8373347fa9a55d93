//! The highest of any number of signals.

use std::fmt;

use plimsoll_core::LoadSignal;

/// A signal of any type.
pub type BoxedSignal = Box<dyn LoadSignal + Send + Sync>;

/// The highest of any number of signals. For two, [`Worst`](plimsoll_core::Worst) needs no
/// allocation.
///
/// ```
/// use plimsoll_core::LoadSignal;
/// use plimsoll_load_shed::{Depth, WorstOf};
///
/// # fn main() -> Result<(), plimsoll_load_shed::InvalidDepth> {
/// # let in_flight = || 0.5;
/// let depth = Depth::new(1024)?;
/// let load = WorstOf::new().and(in_flight).and(depth).and(|| 0.7);
/// assert_eq!(load.load(), 0.7);
/// # Ok(())
/// # }
/// ```
///
/// Without signals the load is 0. A signal that is NaN is ignored.
#[derive(Default)]
pub struct WorstOf(Vec<BoxedSignal>);

impl WorstOf {
    /// A set without signals.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a signal.
    #[must_use]
    pub fn and(mut self, signal: impl LoadSignal + Send + Sync + 'static) -> Self {
        self.0.push(Box::new(signal));
        self
    }
}

impl LoadSignal for WorstOf {
    #[inline]
    fn load(&self) -> f64 {
        self.0
            .iter()
            .fold(0.0, |worst, signal| f64::max(worst, signal.load()))
    }
}

impl fmt::Debug for WorstOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorstOf").field(&self.load()).finish()
    }
}
