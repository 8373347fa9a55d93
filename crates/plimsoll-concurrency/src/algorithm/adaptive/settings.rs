//! What can be told to [`Adaptive`](super::Adaptive). Nothing has to be.

#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) initial: f64,
    pub(super) at_least: f64,
    pub(super) at_most: f64,
    /// Latency that is not to be exceeded, in seconds.
    pub(super) objective: Option<f64>,
    /// Latency without queueing, in seconds.
    pub(super) floor: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            initial: 10.0,
            at_least: 1.0,
            at_most: f64::from(1 << 20),
            objective: None,
            floor: None,
        }
    }
}
