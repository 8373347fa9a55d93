//! Flow messages: JSON text frames in both directions.

use std::fmt::Write as _;

use axum::extract::ws::Message;

use crate::Gap;

/// The longest flow message that is accepted, in bytes: several times the longest that makes sense.
const MAX_BYTES: usize = 512;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Send no data until `Resume`.
    Pause,
    Resume,
}

/// A flow message that is malformed, too long or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// `{"event":"flow.pause","reason":…}`
pub(super) fn pause(reason: &str) -> Message {
    Message::text(format!(r#"{{"event":"flow.pause","reason":"{reason}"}}"#))
}

/// `{"event":"flow.resume"}`
pub(super) fn resume() -> Message {
    Message::text(r#"{"event":"flow.resume"}"#)
}

/// `{"event":"flow.gap","from":…,"to":…,"reason":…}`
pub(super) fn gap(gap: &Gap) -> Message {
    let mut text = String::with_capacity(80);
    let (from, to, reason) = (gap.from, gap.to, gap.reason.name());
    // Writing to a string cannot fail.
    _ = write!(
        text,
        r#"{{"event":"flow.gap","from":{from},"to":{to},"reason":"{reason}"}}"#
    );
    Message::text(text)
}

/// Reads a text message. `None`: it is not a flow message.
///
/// A flow message is a JSON object whose first member is `event`, with a string that begins with
/// `flow.`. Other members are strings, numbers, booleans or null, and are ignored.
pub(super) fn read(text: &str) -> Option<Result<Command, Malformed>> {
    let mut rest = Json(text);
    rest.take("{")?;
    rest.take(r#""event""#)?;
    rest.take(":")?;
    let event = rest.string().filter(|event| event.starts_with("flow."))?;
    let is_valid = text.len() <= MAX_BYTES && rest.members().is_some();
    Some(match event {
        "flow.pause" if is_valid => Ok(Command::Pause),
        "flow.resume" if is_valid => Ok(Command::Resume),
        _ => Err(Malformed),
    })
}

/// The rest of a JSON text.
struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Skips this token.
    fn take(&mut self, token: &str) -> Option<()> {
        self.skip_space();
        self.0 = self.0.strip_prefix(token)?;
        Some(())
    }

    /// Skips a string and returns what is between the quotes, escapes as they are.
    fn string(&mut self) -> Option<&'a str> {
        self.take("\"")?;
        let mut escaped = false;
        let end = self.0.find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends || c < ' '
        })?;
        let (content, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.strip_prefix('"')?;
        has_valid_escapes(content).then_some(content)
    }

    /// Skips further members and the end of the object, and checks that nothing follows.
    fn members(&mut self) -> Option<()> {
        while self.take(",").is_some() {
            self.string()?;
            self.take(":")?;
            self.value()?;
        }
        self.take("}")?;
        self.skip_space();
        self.0.is_empty().then_some(())
    }

    fn value(&mut self) -> Option<()> {
        self.skip_space();
        if self.0.starts_with('"') {
            return self.string().map(|_| ());
        }
        let end = self.0.find([',', '}', ' ', '\t', '\n', '\r'])?;
        let (value, rest) = self.0.split_at_checked(end)?;
        self.0 = rest;
        (matches!(value, "true" | "false" | "null") || is_number(value)).then_some(())
    }
}

fn has_valid_escapes(content: &str) -> bool {
    let mut parts = content.split('\\');
    parts.next();
    while let Some(part) = parts.next() {
        match part.as_bytes() {
            // An escaped backslash: the next part is plain text.
            [] => _ = parts.next(),
            [b'"' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => {}
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|hex| hex.is_ascii_hexdigit()) => {}
            _ => return false,
        }
    }
    true
}

/// A number of JSON: `-1.5e+10`, without leading zeros.
fn is_number(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (text, exponent) = text
        .split_once(['e', 'E'])
        .map_or((text, None), |(text, exponent)| {
            (
                text,
                Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)),
            )
        });
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_this_server_sends_is_read_by_its_own_reader() {
        let text = |message: Message| message.into_text().unwrap().to_string();
        assert_eq!(read(&text(pause("buffer full"))), Some(Ok(Command::Pause)));
        assert_eq!(read(&text(resume())), Some(Ok(Command::Resume)));
        let reason = crate::DropReason::Oldest;
        let lost = gap(&Gap {
            from: 3,
            to: 9,
            reason,
        });
        let expected = r#"{"event":"flow.gap","from":3,"to":9,"reason":"oldest"}"#;
        assert_eq!(text(lost), expected);
        assert_eq!(
            read(expected),
            Some(Err(Malformed)),
            "a client cannot announce gaps"
        );
    }

    #[test]
    fn only_an_object_that_begins_with_a_flow_event_is_a_flow_message() {
        for data in [
            "",
            "flow.pause",
            "[]",
            "{}",
            r#"{"event":"price"}"#,
            r#"{"a":1,"event":"flow.pause"}"#,
            r#"{"event":1}"#,
            r#"{"event":"flow"}"#,
            r#"{"event":"flow.pause"#,
        ] {
            assert_eq!(read(data), None, "{data}");
        }
        for malformed in [
            r#"{"event":"flow.pause""#,
            r#"{"event":"flow.pause"} x"#,
            r#"{"event":"flow.stop"}"#,
            r#"{"event":"flow.pause","reason":[1]}"#,
            r#"{"event":"flow.pause",}"#,
            r#"{"event":"flow.pause","n":01}"#,
            r#"{"event":"flow.pause","n":1.}"#,
            r#"{"event":"flow.pause","s":"\x"}"#,
        ] {
            assert_eq!(read(malformed), Some(Err(Malformed)), "{malformed}");
        }
        let long = format!(
            r#"{{"event":"flow.pause","reason":"{}"}}"#,
            "x".repeat(MAX_BYTES)
        );
        assert_eq!(read(&long), Some(Err(Malformed)));
        let spaced =
            " { \"event\" : \"flow.resume\" , \"n\" : -1.5e+3 , \"s\":\"\\\\\\\"\\u00e9\" }\n";
        assert_eq!(read(spaced), Some(Ok(Command::Resume)));
    }

    proptest! {
        #[test]
        fn accepted_messages_are_json_objects(
            parts in prop::collection::vec(
                prop_oneof![
                    Just("{"), Just("}"), Just(","), Just(":"), Just("\""), Just("\"event\""),
                    Just("\"flow.pause\""), Just("\"flow.resume\""), Just("\"a\""), Just("\\"),
                    Just("\\u12"), Just("1"), Just("-0"), Just("1e-5"), Just("."), Just("true"),
                    Just("null"), Just(" "), Just("\u{1}"), Just("é"),
                ],
                0..14,
            )
        ) {
            let text = format!(r#"{{"event":{}"#, parts.concat());
            for text in [text, parts.concat()] {
                if let Some(Ok(_)) = read(&text) {
                    let value: serde_json::Value = serde_json::from_str(&text)
                        .map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
                    prop_assert!(value.is_object());
                }
            }
        }
    }
}
