//! The windows of the startup in which calls did not wait for each other.

use super::observation::Observation;

/// Windows of a growing limit. If much more is done in the next one, the service was not busy in the
/// one before.
#[derive(Debug, Default)]
pub(super) struct Growth {
    /// The last window: whether the service was busy in it is not known yet.
    last: Option<Observation>,
    /// The windows in which it was not, joined.
    calm: Option<Observation>,
}

impl Growth {
    /// Takes in the next window. The service was not busy in the one before if the throughput has
    /// risen by the factor `pays`.
    pub(super) fn observe(&mut self, seen: &Observation, pays: f64) {
        let rises = |before: &Observation| seen.counted > pays * before.counted;
        let Some(before) = self.last.replace(*seen).filter(rises) else {
            return;
        };
        let joined = self.calm.map_or(before, |all| all.and(&before));
        self.calm = Some(joined);
    }

    /// The mean latency while the service was not busy, in seconds.
    pub(super) fn latency(&self) -> Option<f64> {
        self.calm.map(|seen| seen.latency)
    }
}
