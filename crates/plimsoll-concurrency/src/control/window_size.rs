//! When a window ends.

use std::time::Duration;

/// How much a window holds. The first call that ends when the window has both closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSize {
    /// The least duration.
    pub time: Duration,
    /// The least number of answered and dropped calls, or of cancelled ones; at least one in any case.
    ///
    /// A window that holds fewer continues: at low rates no sample is lost, and while calls are
    /// only cancelled no window ends.
    pub samples: u32,
}
