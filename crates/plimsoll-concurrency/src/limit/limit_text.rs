//! The value of a limit in settings: a number, or adaptive with optional bounds.

use std::{fmt, ops::RangeInclusive, str::FromStr};

/// How many requests may be in flight: a fixed number, or found by measurement.
///
/// As text: `64`, `adaptive`, or `adaptive 8..=512`.
///
/// ```
/// use plimsoll_concurrency::Limit;
///
/// assert_eq!("64".parse(), Ok(Limit::Fixed(64)));
/// assert_eq!("adaptive 8..=512".parse(), Ok(Limit::Adaptive(Some(8..=512))));
/// assert_eq!(Limit::Adaptive(None).to_string(), "adaptive");
/// let error = "many".parse::<Limit>().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"limit must be an integer, `adaptive` or `adaptive MIN..=MAX`, got "many""#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// This number.
    Fixed(usize),
    /// As [`ConcurrencyLimit::adaptive`](crate::ConcurrencyLimit::adaptive), within these bounds.
    Adaptive(Option<RangeInclusive<usize>>),
}

/// A text is not a [`Limit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseLimitError(Box<str>);

impl fmt::Display for ParseLimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(got) = self;
        write!(
            f,
            "limit must be an integer, `adaptive` or `adaptive MIN..=MAX`, got {got:?}"
        )
    }
}

impl std::error::Error for ParseLimitError {}

impl From<usize> for Limit {
    fn from(limit: usize) -> Self {
        Self::Fixed(limit)
    }
}

impl FromStr for Limit {
    type Err = ParseLimitError;

    fn from_str(text: &str) -> Result<Self, ParseLimitError> {
        let number = |text: &str| text.parse::<usize>().ok();
        let bounds = |text: &str| {
            let (min, max) = text.split_once("..=")?;
            Some(number(min)?..=number(max)?)
        };
        let limit = match text.split_once(' ') {
            None if text == "adaptive" => Some(Self::Adaptive(None)),
            None => number(text).map(Self::Fixed),
            Some(("adaptive", within)) => bounds(within).map(|within| Self::Adaptive(Some(within))),
            Some(_) => None,
        };
        limit.ok_or_else(|| ParseLimitError(text.into()))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(limit) => limit.fmt(f),
            Self::Adaptive(None) => f.write_str("adaptive"),
            Self::Adaptive(Some(within)) => {
                write!(f, "adaptive {}..={}", within.start(), within.end())
            }
        }
    }
}

/// An integer or a text.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(
    untagged,
    expecting = "limit must be an integer or a text such as \"adaptive 8..=512\""
)]
enum IntegerOrText {
    Integer(usize),
    Text(String),
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Limit {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match IntegerOrText::deserialize(from)? {
            IntegerOrText::Integer(limit) => Ok(Self::Fixed(limit)),
            IntegerOrText::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Limit {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(limit) => to.serialize_u64(*limit as u64),
            Self::Adaptive(_) => to.collect_str(self),
        }
    }
}
