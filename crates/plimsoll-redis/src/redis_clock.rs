//! An estimate of the clock of Redis, from its answers.

use std::time::Duration;

use tokio::time::Instant;

/// The oldest answer that is used, since clocks drift apart.
const FRESH: Duration = Duration::from_secs(10);

/// The time in the latest answer.
///
/// With it, each question carries an expiry. A question that was stuck in a socket during an outage
/// then spends nothing when it is read later.
#[derive(Debug, Default)]
pub(crate) struct RedisClock(Option<(u64, Instant)>);

impl RedisClock {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    /// Notes that one of several clocks showed `micros`, not before `asked`. The clock that is
    /// furthest ahead counts, so that no question expires early on any of them.
    pub(crate) fn read_ahead(&mut self, micros: u64, asked: Instant) {
        let (last, then) = self.0.unwrap_or((micros, asked));
        let later = asked.max(then);
        let by_then = |micros: u64, read: Instant| {
            micros.saturating_add(later.saturating_duration_since(read).as_micros() as u64)
        };
        self.0 = Some((by_then(micros, asked).max(by_then(last, then)), later));
    }

    /// Notes that the clock of Redis showed `micros`, not before `asked`.
    pub(crate) fn read(&mut self, micros: u64, asked: Instant) {
        self.0 = Some((micros, asked));
    }

    /// The time `after` from now, in microseconds. Early by at most the drift; 0 when the clock is
    /// not known.
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_that_is_ahead_counts_in_any_order_of_answers() {
        let start = Instant::now();
        let mut clock = RedisClock::new();
        // One clock reads 1 s at the start, the other 40 ms more.
        for millis in [0, 30, 10, 20, 5, 40] {
            clock.read_ahead(1_000_000 + 1000 * millis, start + ms(millis));
        }
        assert_eq!(clock.not_after(start + ms(40), ms(20)), 1_060_000);
        clock.read_ahead(1_040_000 + 5000, start + ms(5));
        clock.read_ahead(1_000_000 + 50_000, start + ms(50));
        assert_eq!(clock.not_after(start + ms(50), ms(20)), 1_110_000);
        // After a long time without an answer the clock is not known.
        assert_eq!(clock.not_after(start + ms(50) + FRESH + ms(1), ms(20)), 0);
    }
}
