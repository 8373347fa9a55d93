//! The threshold that most of the recent calls were answered with. Pure.

use plimsoll_core::Priority;

const LEVELS: usize = Priority::LEVELS as usize;
/// Length of half a window in milliseconds. Calls of the last one or two halves are looked at, and
/// an answer that takes longer counts nowhere. Shorter, and clients of few calls per second learn
/// nothing; longer, and a new overload is learned late: after half of a window, 375 ms on average.
/// `all_instances_that_announce_shut_the_client` fails with 2,000.
pub(super) const HALF: u64 = 500;
/// Calls that are taken to confirm the threshold in force. So with none in force four answers in a
/// row are the fewest that shed, and a first answer from an overloaded instance does not.
/// `one_overloaded_instance_of_ten_costs_its_share` fails with 0.
const PRIOR: u64 = 4;

/// Calls sent in half a window, and what they were answered.
#[derive(Debug)]
struct Half {
    /// Its number since the epoch.
    number: u64,
    sent: u64,
    /// Answers by the threshold that they announced; those with 0 are left out.
    said: [u32; LEVELS],
}

impl Half {
    fn new(number: u64) -> Self {
        Self {
            number,
            sent: 0,
            said: [0; LEVELS],
        }
    }
}

/// Calls by when they were *sent*: calls without an answer yet are in the ratio, too. An overloaded
/// instance answers at once, healthy ones take their time, and a ratio of answers would be its own.
#[derive(Debug)]
pub(super) struct Share {
    now: Half,
    before: Half,
}

impl Share {
    pub(super) fn new() -> Self {
        Self {
            now: Half::new(0),
            before: Half::new(0),
        }
    }

    /// The number of the half in which calls are counted.
    pub(super) fn number(&self) -> u64 {
        self.now.number
    }

    /// Half `number` has begun; `sent` calls were sent since this was asked before.
    pub(super) fn turn(&mut self, number: u64, sent: u64) {
        self.now.sent += sent;
        if number > self.now.number {
            let old = std::mem::replace(&mut self.now, Half::new(number));
            self.before = if old.number + 1 == number {
                old
            } else {
                Half::new(number - 1)
            };
        }
    }

    /// A call that was sent in half `number` was answered with this threshold.
    pub(super) fn answered(&mut self, number: u64, threshold: u16) {
        let mut halves = [&mut self.now, &mut self.before].into_iter();
        if let Some(half) = halves.find(|half| half.number == number)
            && threshold > 0
        {
            half.said[usize::from(threshold)] += 1;
        }
    }

    /// Forgets all calls.
    pub(super) fn clear(&mut self) {
        let number = self.now.number;
        self.now = Half::new(number);
        self.before = Half::new(number.saturating_sub(1));
    }

    /// The highest threshold that at least half of the calls were answered with, or with a higher
    /// one; `in_force` is the present one.
    pub(super) fn threshold(&self, in_force: u16) -> u16 {
        let calls = self.now.sent + self.before.sent + PRIOR;
        let mut said = 0;
        for level in (1..LEVELS).rev() {
            said += u64::from(self.now.said[level]) + u64::from(self.before.said[level]);
            if level == usize::from(in_force) {
                said += PRIOR;
            }
            if 2 * said >= calls {
                return level as u16;
            }
        }
        0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Calls of one half that were answered like this.
    fn share(sent: u64, said: &[(u16, u32)]) -> Share {
        let mut share = Share::new();
        share.turn(1, 0);
        share.turn(1, sent);
        for (threshold, times) in said {
            (0..*times).for_each(|_| share.answered(1, *threshold));
        }
        share
    }

    #[test]
    fn half_of_the_calls_decide_and_calls_in_flight_are_calls() {
        for (sent, said, expected) in [
            (0, &[][..], 0),
            (4, &[(300, 3)], 0),
            (4, &[(300, 4)], 300),
            (96, &[(511, 49)], 0),
            (96, &[(511, 50)], 511),
            (96, &[(511, 10), (384, 30), (128, 56)], 128),
            (96, &[(511, 10), (384, 40), (0, 46)], 384),
        ] {
            assert_eq!(share(sent, said).threshold(0), expected, "{sent} {said:?}");
        }
    }

    #[test]
    fn what_is_in_force_stands_until_calls_say_otherwise() {
        assert_eq!(share(0, &[]).threshold(300), 300);
        assert_eq!(share(4, &[(300, 1)]).threshold(300), 300);
        assert_eq!(share(5, &[(0, 5)]).threshold(300), 0);
    }

    #[test]
    fn an_answer_belongs_to_the_half_of_its_call() {
        let mut share = share(10, &[(300, 4)]);
        share.turn(2, 2);
        share.answered(2, 300);
        share.answered(1, 300);
        assert_eq!(share.threshold(0), 0, "6 of 12");
        (0..2).for_each(|_| share.answered(1, 300));
        assert_eq!(share.threshold(0), 300, "8 of 12");
        share.turn(3, 0);
        share.answered(1, 300);
        assert_eq!(share.threshold(0), 0, "one of two");
        share.turn(9, 7);
        assert_eq!((share.threshold(0), share.number()), (0, 9));
    }
}
