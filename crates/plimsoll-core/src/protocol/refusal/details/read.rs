//! Reads the wait in `google.rpc.Status`, as any gRPC server writes it.

use std::time::Duration;

use ::http::HeaderValue;
use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{LONGEST_SECS, RETRY_INFO};

/// The longest `grpc-status-details-bin` that is read, in bytes. A longer one counts as absent.
///
/// 8 KiB: the limit of gRPC libraries for all metadata of an answer, by default. It bounds the work
/// and the buffer on the stack. `details_beyond_the_limit_are_not_read` fails without it.
const LONGEST: usize = 8 * 1024;

/// Accepts base64 with and without padding, as `-bin` metadata may have either.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the `retry_delay` of `google.rpc.RetryInfo` in a `grpc-status-details-bin`; the longest, if
/// there are several.
///
/// `None` without one, and for malformed bytes: a broken message, an invalid or a negative delay.
/// Does not allocate.
pub fn retry_info(details: &HeaderValue) -> Option<Duration> {
    let mut bytes = [0; LONGEST / 4 * 3];
    let length = BASE64.decode_slice(details.as_bytes(), &mut bytes).ok()?;
    let mut status = Fields(&bytes[..length]);
    let mut longest = None;
    while let Some((number, value)) = status.next()? {
        if let (3, Value::Bytes(any)) = (number, value) {
            longest = longest.max(delay_in(any));
        }
    }
    longest
}

/// Returns the delay in one of the details, a `google.protobuf.Any`, if it is a `RetryInfo`.
fn delay_in(any: &[u8]) -> Option<Duration> {
    if Fields(any).message(1)? != RETRY_INFO.as_bytes() {
        return None;
    }
    let info = Fields(any).message(2)?;
    duration(Fields(info).message(1)?)
}

/// Reads a `google.protobuf.Duration` that is valid and not negative.
fn duration(message: &[u8]) -> Option<Duration> {
    let (mut secs, mut nanos) = (0, 0);
    let mut fields = Fields(message);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Number(number)) => secs = number,
            (2, Value::Number(number)) => nanos = number,
            _ => {}
        }
    }
    // Negative numbers are above both bounds.
    let nanos = u32::try_from(nanos).ok().filter(|n| *n < 1_000_000_000)?;
    (secs <= LONGEST_SECS).then(|| Duration::new(secs, nanos))
}

/// The rest of a protobuf message.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    /// Wire type 0.
    Number(u64),
    /// Wire type 2.
    Bytes(&'a [u8]),
    /// Wire types 1 and 5, which no field of these messages has.
    Fixed,
}

impl<'a> Fields<'a> {
    /// Reads a field: its number and its value. `Some(None)` at the end, `None` for malformed bytes.
    /// Groups (wire types 3 and 4), which are not used any longer, count as malformed.
    #[allow(clippy::option_option)] // The outer one is that of the operator `?`.
    fn next(&mut self) -> Option<Option<(u32, Value<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let key = u32::try_from(self.varint()?).ok().filter(|key| *key > 7)?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            1 => self.take(8).map(|_| Value::Fixed)?,
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some(Some((key >> 3, value)))
    }

    /// Returns the bytes of the last field with this number: in protobuf, the last one is valid.
    fn message(mut self, wanted: u32) -> Option<&'a [u8]> {
        let mut found = None;
        while let Some((number, value)) = self.next()? {
            if let Value::Bytes(bytes) = value {
                found = if number == wanted { Some(bytes) } else { found };
            }
        }
        found
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Reads a number of at most ten bytes.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD_NO_PAD;

    use super::{super::details, *};

    fn read(details: &str) -> Option<Duration> {
        retry_info(&HeaderValue::from_str(details).unwrap())
    }

    /// Reads these bytes of a status.
    fn status(bytes: &[u8]) -> Option<Duration> {
        read(&BASE64_STANDARD_NO_PAD.encode(bytes))
    }

    /// A field of wire type 2.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        assert!(length < 0x80);
        [&[number << 3 | 2, length], bytes].concat()
    }

    fn any(type_url: &str, message: &[u8]) -> Vec<u8> {
        let any = [field(1, type_url.as_bytes()), field(2, message)].concat();
        field(3, &any)
    }

    /// A status with a `RetryInfo` whose delay has these bytes.
    fn delay(bytes: &[u8]) -> Option<Duration> {
        status(&any(RETRY_INFO, &field(1, bytes)))
    }

    const SEC: Duration = Duration::from_secs(1);

    /// The bytes were checked with protoc.
    #[test]
    fn the_delay_of_the_golden_bytes_is_read() {
        for (details, millis) in [
            (
                "CAgSDHJhdGUgbGltaXRlZBo2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgBEIDKte4B",
                1500,
            ),
            (
                "CA4SCm92ZXJsb2FkZWQaMwoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIHCgUQgOWadw",
                250,
            ),
            (
                "CAgSDHJhdGUgbGltaXRlZBowCih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgQKAggUGmcKK3R5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5RdW90YUZhaWx1cmUSOAo2CgxjbGllbnQ6YWxpY2USGXBlci1taW51dGUgcXVvdGEgZXhjZWVkZWQqCXBlcm1pbnV0ZThk",
                20_000,
            ),
        ] {
            assert_eq!(read(details), Some(Duration::from_millis(millis)));
            let padding = "=".repeat((4 - details.len() % 4) % 4);
            let padded = format!("{details}{padding}");
            assert_eq!(read(&padded), Some(Duration::from_millis(millis)));
        }
    }

    #[test]
    fn each_delay_that_is_written_is_read_again() {
        for nanos in [0, 1, 999_999_999, 1_000_000_000, u64::MAX] {
            let wait = Duration::from_nanos(nanos);
            assert_eq!(read(&details(14, "busy", Some(wait), None)), Some(wait));
        }
        let longest = Duration::new(LONGEST_SECS, 999_999_999);
        let written = details(14, "busy", Some(Duration::MAX), None);
        assert_eq!(read(&written), Some(longest));
        assert_eq!(read(&details(14, "busy", None, None)), None);
    }

    #[test]
    fn a_delay_may_have_unknown_fields_and_be_among_other_details() {
        let other = any(
            "type.googleapis.com/google.rpc.ErrorInfo",
            &field(1, &[8, 9]),
        );
        let second = any(RETRY_INFO, &field(1, &[8, 1]));
        let longer = any(RETRY_INFO, &field(1, &[8, 2]));
        assert_eq!(status(&other), None, "another type");
        assert_eq!(status(&[&*other, &second, &other].concat()), Some(SEC));
        assert_eq!(status(&[&*longer, &second].concat()), Some(2 * SEC));
        // An unknown field of each wire type.
        let unknown = [
            0x20, 7, 0x29, 1, 2, 3, 4, 5, 6, 7, 8, 0x35, 1, 2, 3, 4, 0x3a, 1, 9,
        ];
        assert_eq!(status(&[&unknown[..], &second].concat()), Some(SEC));
        assert_eq!(delay(&[&unknown[..], &[8, 1]].concat()), Some(SEC));
        assert_eq!(delay(&[8, 5, 8, 1]), Some(SEC), "the last one is valid");
    }

    #[test]
    fn invalid_delays_are_none() {
        assert_eq!(delay(&[]), Some(Duration::ZERO));
        assert_eq!(status(&any(RETRY_INFO, &[])), None, "no delay");
        // -1 as 64 bits, of seconds and of nanoseconds.
        let minus_one = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        assert_eq!(delay(&[&[8][..], &minus_one].concat()), None);
        assert_eq!(delay(&[&[16][..], &minus_one].concat()), None);
        // 10^9 nanoseconds, and one fewer.
        assert_eq!(delay(&[16, 128, 148, 235, 220, 3]), None);
        let below = Duration::from_nanos(999_999_999);
        assert_eq!(delay(&[16, 255, 147, 235, 220, 3]), Some(below));
        // One second more than 10,000 years.
        assert_eq!(delay(&[8, 129, 188, 174, 206, 151, 9]), None);
    }

    #[test]
    fn malformed_bytes_are_none() {
        for malformed in [
            "", "=", "C", "C===", "CAg,CAg", "CA g", "CA-_", "\u{80}", "====",
        ] {
            let value = HeaderValue::from_bytes(malformed.as_bytes()).unwrap();
            assert_eq!(retry_info(&value), None, "{malformed:?}");
        }
        let whole = any(RETRY_INFO, &field(1, &[8, 1]));
        for length in 0..whole.len() {
            assert_eq!(status(&whole[..length]), None, "cut to {length} bytes");
        }
        // Field 0, and a field beyond 29 bits.
        assert_eq!(status(&[&whole[..], &[0, 9]].concat()), None);
        assert_eq!(
            status(&[&whole[..], &[128, 128, 128, 128, 16, 9]].concat()),
            None
        );
        // A group, and a number of eleven bytes.
        assert_eq!(status(&[&whole[..], &[0x23, 0x24]].concat()), None);
        assert_eq!(
            status(&[&whole[..], &[0x20], &[128; 10], &[1]].concat()),
            None
        );
        // A length beyond 64 bits.
        assert_eq!(
            status(&[&whole[..], &[0x22], &[255; 9], &[1]].concat()),
            None
        );
    }

    #[test]
    fn details_beyond_the_limit_are_not_read() {
        let mut bytes = any(RETRY_INFO, &field(1, &[8, 1]));
        let rest = LONGEST / 4 * 3 - bytes.len();
        // Numbers of one byte, with a key of one byte.
        bytes.extend([0x20, 7].repeat(rest / 2));
        assert_eq!(status(&bytes), Some(SEC));
        bytes.extend([0x20, 7].repeat(2));
        assert_eq!(status(&bytes), None);
    }
}
