//! What time it is by the clock of Redis, as far as its answers tell.

use std::time::Duration;

use tokio::time::Instant;

/// Answers older than this tell nothing: clocks drift apart.
const FRESH: Duration = Duration::from_secs(10);

/// The latest answer's time, so that a question can say until when it is of use. One that was stuck in a socket while Redis
/// stood still then spends nothing when it is read at last.
#[derive(Debug, Default)]
pub(crate) struct RedisClock(Option<(u64, Instant)>);

impl RedisClock {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Redis' clock said `micros`, no earlier than at `asked`.
    pub(crate) fn read(&mut self, micros: u64, asked: Instant) {
        self.0 = Some((micros, asked));
    }

    /// The moment `after` from now, in microseconds and never too early by more than drift; 0 when the time is not known.
    pub(crate) fn not_after(&self, now: Instant, after: Duration) -> u64 {
        let Some((micros, asked)) = self.0 else {
            return 0;
        };
        let since = now.saturating_duration_since(asked);
        if since > FRESH {
            return 0;
        }
        micros.saturating_add((since + after).as_micros() as u64)
    }
}
