//! Clients that were moved to polling and have not come back.

use std::{
    collections::VecDeque,
    fmt,
    str::FromStr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::hub::{Cursor, InvalidCursor};

/// Moves that are kept, from that of the first client that is still away.
///
/// In moves, of one byte each: several times as many clients as one process serves, in 64 KiB.
/// `moves_beyond_the_bound_are_evicted_and_counted` fails without the bound.
const MAX: usize = 1 << 16;

/// Digits of the number of a move.
const DIGITS: usize = 16;

/// What a client continues with, as text for it: a cursor, and while it polls, the number of its
/// move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) cursor: Cursor,
    pub(crate) moved: Option<u64>,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cursor.fmt(f)?;
        match self.moved {
            Some(number) => write!(f, ".{number:016x}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Id {
    type Err = InvalidCursor;

    /// Accepts exactly what `Display` writes.
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (cursor, moved) = match text.match_indices('.').nth(1) {
            Some((at, _)) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let is_digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        let number = |digits: &str| match u64::from_str_radix(digits, 16) {
            Ok(number) if digits.len() == DIGITS && digits.bytes().all(is_digit) => Ok(number),
            _ => Err(InvalidCursor),
        };
        Ok(Self {
            cursor: cursor.parse()?,
            moved: moved.map(number).transpose()?,
        })
    }
}

/// The moves of a topic, each with a number that its client keeps while it polls.
#[derive(Debug)]
pub(crate) struct Moves(Mutex<Away>);

#[derive(Debug)]
struct Away {
    /// The number of the first move in `clients`.
    first: u64,
    /// Whether the client of each move is still away.
    clients: VecDeque<bool>,
}

impl Default for Moves {
    /// Numbers begin at random, so that those of another process, or of this one before a restart,
    /// are unknown.
    fn default() -> Self {
        Self(Mutex::new(Away {
            first: fastrand::u64(..u64::MAX / 2),
            clients: VecDeque::new(),
        }))
    }
}

impl Moves {
    /// Held for a few instructions, when a client is moved and when one is back.
    fn lock(&self) -> MutexGuard<'_, Away> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers a move. Returns whether an earlier one was evicted for it.
    pub(crate) fn begin(&self) -> (u64, bool) {
        let mut away = self.lock();
        let number = away.first + away.clients.len() as u64;
        away.clients.push_back(true);
        let evicts = away.clients.len() > MAX;
        if evicts {
            away.clients.pop_front();
            away.first += 1;
            away.skip_returned();
        }
        (number, evicts)
    }

    /// Ends a move. Returns whether its client was away until now.
    pub(crate) fn end(&self, number: u64) -> bool {
        let mut away = self.lock();
        let index = number.checked_sub(away.first);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let client = index.and_then(|index| away.clients.get_mut(index));
        let was_away = client.is_some_and(|is_away| std::mem::replace(is_away, false));
        away.skip_returned();
        was_away
    }
}

impl Away {
    fn skip_returned(&mut self) {
        while self.clients.front() == Some(&false) {
            self.clients.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_move_counts_once() {
        let moves = Moves::default();
        let numbers: Vec<_> = (0..3).map(|_| moves.begin().0).collect();
        assert!(moves.end(numbers[1]));
        assert!(!moves.end(numbers[1]), "a second time");
        assert!(moves.end(numbers[0]));
        assert!(!moves.end(numbers[0]), "before the first that is away");
        assert!(!moves.end(numbers[2] + 1), "not begun");
        assert!(!Moves::default().end(numbers[2]), "of another topic");
        assert!(moves.end(numbers[2]));
        assert_eq!(moves.lock().clients.len(), 0);
    }

    #[test]
    fn moves_beyond_the_bound_are_evicted_and_counted() {
        let moves = Moves::default();
        let (first, _) = moves.begin();
        let (second, _) = moves.begin();
        assert!((2..MAX).all(|_| !moves.begin().1));
        assert!(moves.end(second));
        assert!(moves.begin().1, "the first is evicted");
        assert!(!moves.end(first));
        assert_eq!(moves.lock().clients.len(), MAX - 1);
    }

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let cursor = Cursor { epoch: 1, seq: 7 };
        for moved in [None, Some(0), Some(0xbeef), Some(u64::MAX)] {
            let id = Id { cursor, moved };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        let cursor = "0000000000000001.7";
        let endings = [
            "",
            "1",
            "000000000000beeF",
            "+00000000000beef",
            "00000000000000000",
            "000000000000beef.1",
        ];
        for end in endings {
            let id = format!("{cursor}.{end}");
            assert_eq!(id.parse::<Id>(), Err(InvalidCursor), "{id}");
        }
    }
}
