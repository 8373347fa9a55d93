//! A change of a policy, for logs and dashboards.

use super::figure::Figure;

/// A change of a policy that an operator should see.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The figure that changed.
    pub figure: &'static Figure,
    /// The value before; of a state its position in the list.
    pub from: f64,
    /// The value now.
    pub to: f64,
    /// Why it changed, in a few words.
    pub reason: String,
    /// The key, of a policy with a state for each key: its label, at most
    /// [`MAX_KEY`](Self::MAX_KEY) bytes of it.
    pub key: Option<String>,
    /// Whether a call of a handle made the change, and not the policy itself.
    pub by_hand: bool,
}

impl Change {
    /// Most bytes of a key that are kept. Labels of keys are up to 128 bytes long and come from
    /// requests; a log of 1,024 changes then has at most 64 KiB of them.
    /// `a_long_key_is_shortened_at_a_character` fails when it differs.
    pub const MAX_KEY: usize = 64;

    /// A change of `figure`.
    pub fn new(figure: &'static Figure, from: f64, to: f64, reason: impl Into<String>) -> Self {
        Self {
            figure,
            from,
            to,
            reason: reason.into(),
            key: None,
            by_hand: false,
        }
    }

    /// Sets the key. One that is longer than [`MAX_KEY`](Self::MAX_KEY) bytes is shortened, and
    /// ends with an ellipsis.
    #[must_use]
    pub fn of_key(mut self, key: impl Into<String>) -> Self {
        let mut key = key.into();
        if key.len() > Self::MAX_KEY {
            let room = Self::MAX_KEY - ELLIPSIS.len();
            let end = (0..=room).rev().find(|end| key.is_char_boundary(*end));
            key.truncate(end.unwrap_or(0));
            key.push_str(ELLIPSIS);
        }
        self.key = Some(key);
        self
    }

    /// Marks the change as made by a call of a handle.
    #[must_use]
    pub const fn by_hand(mut self) -> Self {
        self.by_hand = true;
        self
    }
}

/// The end of a key that was shortened.
const ELLIPSIS: &str = "…";

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::figures::LIMIT;

    #[test]
    fn a_long_key_is_shortened_at_a_character() {
        let change = |key: &str| {
            Change::new(&LIMIT, 1.0, 2.0, "test")
                .of_key(key)
                .key
                .unwrap()
        };
        assert_eq!(change("client"), "client");
        assert_eq!(change(&"x".repeat(64)).len(), 64);
        assert_eq!(change(&"x".repeat(65)), "x".repeat(61) + "…");
        // Two bytes each: 61 is in the middle of one.
        assert_eq!(change(&"é".repeat(100)), "é".repeat(30) + "…");
    }
}
