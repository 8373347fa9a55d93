//! Where a subscriber is, as text for a client.

use std::{fmt, str::FromStr};

/// Digits of the epoch.
const EPOCH: usize = 16;

/// The longest text: the epoch, a dot, and the digits of the largest number.
const MAX_LEN: usize = EPOCH + 1 + 20;

/// The number of the last item that a subscriber has, and the epoch of the hub that numbered it.
///
/// [`Display`](fmt::Display) and [`FromStr`] convert it to and from the text that a client keeps,
/// such as the `id` of a server-sent event. Clients must treat the text as opaque.
///
/// The epoch is a random number of the hub, so a cursor of another hub, or of the same one before a
/// restart, is recognised. A cursor gives no access: it states from where to read, and whether the
/// client may read the hub at all is for the application to check.
///
/// ```
/// use plimsoll_stream::Cursor;
///
/// let cursor = Cursor { epoch: 0x5eed, seq: 7 };
/// assert_eq!(cursor.to_string(), "0000000000005eed.7");
/// assert_eq!("0000000000005eed.7".parse(), Ok(cursor));
/// assert!("5eed.7".parse::<Cursor>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which hub numbered the items.
    pub epoch: u64,
    /// The number of the last item that was received: 0 for none, the first item has number 1.
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.epoch, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    /// Accepts exactly what [`Display`](fmt::Display) writes, of at most 37 bytes.
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = text.as_bytes();
        if bytes.len() > MAX_LEN || bytes.get(EPOCH) != Some(&b'.') || !text.is_ascii() {
            return Err(InvalidCursor);
        }
        let (epoch, seq) = (&text[..EPOCH], &text[EPOCH + 1..]);
        let is_epoch = epoch.bytes().all(|digit| digit.is_ascii_hexdigit());
        // `parse` alone accepts a sign, and several texts for one number.
        let is_seq = seq.bytes().all(|digit| digit.is_ascii_digit())
            && (seq == "0" || !seq.starts_with('0'));
        if !is_epoch || epoch.bytes().any(|digit| digit.is_ascii_uppercase()) || !is_seq {
            return Err(InvalidCursor);
        }
        let epoch = u64::from_str_radix(epoch, 16).map_err(|_| InvalidCursor)?;
        let seq = seq.parse().map_err(|_| InvalidCursor)?;
        Ok(Self { epoch, seq })
    }
}

/// The text is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a cursor: 16 digits of the epoch, a dot, and a number")]
pub struct InvalidCursor;
