//! Durations as text, in settings that people write: `50ms`, `15m`.

use std::{fmt, time::Duration};

/// Units with their length in nanoseconds, the longest first.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Parses an integer and a unit: `ns`, `us`, `ms`, `s`, `m`, `h` or `d`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let nanos = u128::from(number) * nanos;
    let secs = u64::try_from(nanos / 1_000_000_000).ok()?;
    Some(Duration::new(secs, (nanos % 1_000_000_000) as u32))
}

/// Prints a duration as [`parse_duration`] reads it, in the longest unit without a remainder.
#[derive(Debug, Clone, Copy)]
pub struct DurationText(pub Duration);

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let exact = |(_, length): &&(&str, u128)| nanos % *length == 0;
        // The last unit is one nanosecond.
        let (unit, length) = UNITS.iter().find(exact).unwrap_or(&("ns", 1));
        write!(f, "{}{unit}", nanos / length)
    }
}

/// Serde's form of durations and optional durations as text; `off` is no duration.
#[cfg(feature = "serde")]
pub mod serde_text {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    use super::{DurationText, parse_duration};

    const EXPECTED: &str = "an integer and one of ns, us, ms, s, m, h, d, such as \"50ms\"";

    /// A duration.
    pub mod duration {
        use super::*;

        /// Writes the text.
        ///
        /// # Errors
        ///
        /// As the serializer.
        pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
            to.collect_str(&DurationText(*value))
        }

        /// Reads the text.
        ///
        /// # Errors
        ///
        /// When the text is not a duration.
        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
            let text = String::deserialize(from)?;
            parse_duration(&text)
                .ok_or_else(|| D::Error::custom(format!("expected {EXPECTED}, got {text:?}")))
        }
    }

    /// A duration, or `off`.
    pub mod optional {
        use super::*;

        /// Writes the text.
        ///
        /// # Errors
        ///
        /// As the serializer.
        pub fn serialize<S: Serializer>(
            value: &Option<Duration>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => duration::serialize(value, to),
                None => to.serialize_str("off"),
            }
        }

        /// Reads the text.
        ///
        /// # Errors
        ///
        /// When the text is neither a duration nor `off`.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<Duration>, D::Error> {
            let text = String::deserialize(from)?;
            match text.as_str() {
                "off" => Ok(None),
                _ => parse_duration(&text).map(Some).ok_or_else(|| {
                    D::Error::custom(format!("expected {EXPECTED}, or \"off\", got {text:?}"))
                }),
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_an_integer_and_a_unit() {
        let ms = Duration::from_millis;
        for (text, duration) in [
            ("50ms", Some(ms(50))),
            ("0s", Some(ms(0))),
            ("90s", Some(ms(90_000))),
            ("15m", Some(ms(900_000))),
            ("1d", Some(ms(86_400_000))),
            ("1us", Some(Duration::from_micros(1))),
            ("18446744073709551615d", None),
            ("5", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1 s", None),
            ("1S", None),
            ("", None),
        ] {
            assert_eq!(parse_duration(text), duration, "{text}");
        }
    }

    #[test]
    fn a_duration_is_printed_in_the_longest_unit_without_a_remainder() {
        for (millis, text) in [
            (0, "0s"),
            (50, "50ms"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (120_000, "2m"),
            (86_400_000, "1d"),
        ] {
            assert_eq!(
                DurationText(Duration::from_millis(millis)).to_string(),
                text
            );
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn text_of_a_configuration_is_read_or_rejected_with_what_is_expected() {
        use serde::de::{IntoDeserializer as _, value::Error};

        use serde_text::{duration, optional};

        let ms = Duration::from_millis;
        let read = |text: &'static str| {
            duration::deserialize::<serde::de::value::StrDeserializer<'_, Error>>(
                text.into_deserializer(),
            )
        };
        let read_optional = |text: &'static str| {
            optional::deserialize::<serde::de::value::StrDeserializer<'_, Error>>(
                text.into_deserializer(),
            )
        };
        assert_eq!(read("50ms"), Ok(ms(50)));
        assert_eq!(read_optional("50ms"), Ok(Some(ms(50))));
        assert_eq!(read_optional("off"), Ok(None));
        let error = read("off").expect_err("no duration").to_string();
        assert!(error.contains("got \"off\""), "{error}");
        let error = read_optional("on").expect_err("neither").to_string();
        assert!(error.contains("or \"off\", got \"on\""), "{error}");
    }

    proptest! {
        #[test]
        fn a_printed_duration_is_read_as_itself(secs in 0..u64::MAX / 2, nanos in 0_u32..1_000_000_000) {
            for duration in [Duration::new(secs, nanos), Duration::from_secs(secs % 100_000)] {
                let text = DurationText(duration).to_string();
                let read = parse_duration(&text);
                // More nanoseconds than 64 bits hold are not read.
                prop_assert!(read == Some(duration) || duration.as_nanos() > u64::MAX.into());
            }
        }
    }
}
