//! What can be set of [`Adaptive`]; nothing has to be.

use super::error::Bounds;

/// Initial limit: a guess that a small service survives. The startup multiplies it by four with each
/// window.
const INITIAL: u32 = 10;
/// Highest limit. A million requests in flight are beyond the memory of most services.
const HIGHEST: u32 = 1 << 20;

#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) bounds: Bounds,
    /// Mean latency that is not to be exceeded, in seconds.
    pub(super) objective: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bounds: Bounds {
                initial: INITIAL,
                min: 1,
                max: HIGHEST,
            },
            objective: None,
        }
    }
}
