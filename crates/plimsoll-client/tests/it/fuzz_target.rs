//! The fuzz target for what a callee asks of retries. The `fuzz` package includes this file.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use plimsoll_client::{Backoff, Reconnect, Reconnecting, RetryHint};

const CEILING: Duration = Duration::from_secs(60);

/// Takes a status from the first two bytes, then one header per line, its name chosen by the first
/// byte of the line; the last name is for a line that is encoded in base64. Returns whether the answer has a hint.
///
/// Checks: waits are below the ceiling; a pushback is a canonical 32-bit number or forbids retries, and
/// `RetryInfo` is read only without one; a stream reconnects after a finite wait, whatever it has
/// received.
pub fn retry_hint(data: &[u8]) -> bool {
    const NAMES: [&str; 8] = [
        "retry-after",
        "date",
        "ratelimit",
        "grpc-retry-pushback-ms",
        "plimsoll-rejected-by",
        "content-type",
        "grpc-status-details-bin",
        "grpc-status-details-bin",
    ];
    let (status, lines) = data.split_at(data.len().min(2));
    let status = status
        .iter()
        .fold(0, |sum, byte| sum * 256 + u16::from(*byte));
    let status = StatusCode::from_u16(100 + status % 900).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some((choice, value)) = line.split_first() else {
            continue;
        };
        let choice = usize::from(*choice) % NAMES.len();
        let value = if choice == NAMES.len() - 1 {
            HeaderValue::try_from(BASE64_STANDARD_NO_PAD.encode(value))
        } else {
            HeaderValue::from_bytes(value)
        };
        if let Ok(value) = value {
            let name = NAMES[choice];
            // Fails beyond 32,768 headers, which no client accepts.
            _ = headers.try_append(HeaderName::from_static(name), value);
        }
    }

    let http = RetryHint::http(&headers, CEILING);
    match http {
        RetryHint::None => {}
        RetryHint::AtLeast(wait) => assert!(wait <= CEILING, "{headers:?}"),
        other => panic!("{other:?} of {headers:?}"),
    }
    let lines: Vec<_> = headers
        .get_all("grpc-retry-pushback-ms")
        .iter()
        .cloned()
        .collect();
    let grpc = RetryHint::grpc(&headers, CEILING);
    match (grpc, &*lines) {
        (RetryHint::Exactly(wait), [line]) => {
            assert_eq!(line.as_bytes(), wait.as_millis().to_string().as_bytes());
            assert!(i32::try_from(wait.as_millis()).is_ok());
        }
        (RetryHint::AtLeast(wait), []) => {
            assert!(wait <= CEILING, "{headers:?}");
            assert!(headers.contains_key("grpc-status-details-bin"));
        }
        (RetryHint::None, []) | (RetryHint::Never, [_, ..]) => {}
        (hint, lines) => panic!("{hint:?} of {lines:?}"),
    }

    let mut stream = Reconnect::new(Backoff::default());
    stream.received(data);
    let next = [stream.response(status, &headers), stream.ended()];
    for next in next {
        if let Reconnecting::After(wait) = next {
            assert!(wait <= Duration::from_secs(3 * 3600), "{wait:?}");
        }
    }
    stream.write_headers(&mut headers);
    http != RetryHint::None || grpc != RetryHint::None
}
