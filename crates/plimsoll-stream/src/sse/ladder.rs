//! What is done about a client that is behind, as pure code: its lag and the time in, a step out.

use std::time::Duration;

use tokio::time::Instant;

/// The marks of a client's buffer, in events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks {
    /// Above it a client is notified that it is slow.
    pub(crate) high: u64,
    /// At or below it a client is notified that it has caught up.
    pub(crate) low: u64,
    /// The buffer. Beyond it, the client lives on the overflow.
    pub(crate) buffer: u64,
    /// How long it may.
    pub(crate) overflow: Duration,
}

/// What is sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Pause,
    Resume,
    /// Moved to polling.
    Poll,
}

/// The state of one client.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    paused: bool,
    overflow_since: Option<Instant>,
}

impl Ladder {
    /// Whether more events go into one frame.
    pub(crate) fn is_wide(marks: &Marks, lag: u64) -> bool {
        lag > marks.low
    }

    pub(crate) fn observe(&mut self, marks: &Marks, lag: u64, now: Instant) -> Option<Step> {
        if lag > marks.buffer {
            let since = *self.overflow_since.get_or_insert(now);
            if now.saturating_duration_since(since) >= marks.overflow {
                return Some(Step::Poll);
            }
        } else if lag <= marks.high {
            // Not just below the bound, or a lag around it would never count.
            self.overflow_since = None;
        }
        if !self.paused && lag > marks.high {
            self.paused = true;
            return Some(Step::Pause);
        }
        if self.paused && lag <= marks.low {
            self.paused = false;
            return Some(Step::Resume);
        }
        None
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        high: 80,
        low: 50,
        buffer: 100,
        overflow: Duration::from_secs(5),
    };

    #[tokio::test(start_paused = true)]
    async fn a_client_is_notified_once_until_it_has_caught_up() {
        let mut ladder = Ladder::default();
        let now = Instant::now();
        let steps = [0, 80, 81, 100, 60, 81, 51, 50, 80, 81, 0];
        let steps = steps.map(|lag| ladder.observe(&MARKS, lag, now));
        let (pause, resume) = (Some(Step::Pause), Some(Step::Resume));
        let due = [
            None, None, pause, None, None, None, None, resume, None, pause, resume,
        ];
        assert_eq!(steps, due);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_moved_when_it_stays_on_the_overflow() {
        let mut ladder = Ladder::default();
        let start = Instant::now();
        let at = |ladder: &mut Ladder, ms, lag| {
            ladder.observe(&MARKS, lag, start + Duration::from_millis(ms))
        };
        assert_eq!(at(&mut ladder, 0, 101), Some(Step::Pause));
        assert_eq!(at(&mut ladder, 4_999, 500), None);
        // A moment within the buffer does not begin a new count, but one below the high mark does.
        assert_eq!(at(&mut ladder, 4_999, 90), None);
        assert_eq!(at(&mut ladder, 5_000, 101), Some(Step::Poll));
        assert_eq!(at(&mut ladder, 6_000, 80), None);
        assert_eq!(at(&mut ladder, 7_000, 101), None);
        assert_eq!(at(&mut ladder, 11_999, 101), None);
        assert_eq!(at(&mut ladder, 12_000, 101), Some(Step::Poll));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_at_a_mark_is_not_beyond_it() {
        assert!(!Ladder::is_wide(&MARKS, 50) && Ladder::is_wide(&MARKS, 51));
        let mut ladder = Ladder::default();
        let start = Instant::now();
        assert_eq!(ladder.observe(&MARKS, 100, start), Some(Step::Pause));
        // A full buffer is not the overflow.
        let later = start + 2 * MARKS.overflow;
        assert_eq!(ladder.observe(&MARKS, 100, later), None);
        assert_eq!(ladder.observe(&MARKS, 101, later), None);
        let end = later + MARKS.overflow;
        assert_eq!(ladder.observe(&MARKS, 101, end), Some(Step::Poll));
    }
}
