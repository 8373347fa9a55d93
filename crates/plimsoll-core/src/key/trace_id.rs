//! The trace as the key.

use http::Request;

use super::{Key, secret::Line};

/// The trace id in the W3C `traceparent` header, as a number: the same in every service of a trace.
///
/// The header's parent id and flags differ between hops, so the whole header is not the key:
/// sampling by it would keep one half of a trace in one service and the other half in the next.
///
/// Read as [Trace Context](https://www.w3.org/TR/trace-context/) specifies: versions up to `fe` are
/// accepted, and versions above `00` may add fields after a dash. A malformed header (version `ff`,
/// upper case, an id of zeros), a repeated one and a missing one give no key.
///
/// ```
/// use plimsoll_core::{Key, TraceId};
/// let req = http::Request::builder()
///     .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
///     .body(())?;
/// assert_eq!(TraceId.key(&req), Some(0x0af7651916cd43dd8448eb211c80319c));
/// # Ok::<_, http::Error>(())
/// ```
#[doc(alias("traceparent"))]
#[derive(Debug, Clone, Copy, Default)]
pub struct TraceId;

impl<B> Key<Request<B>> for TraceId {
    type Key<'a>
        = u128
    where
        B: 'a;

    fn key<'a>(&'a self, req: &'a Request<B>) -> Option<u128> {
        match Line::of("traceparent", req.headers()) {
            Line::Once(line) => trace_id(line.trim_ascii()),
            Line::Absent | Line::Unusable => None,
        }
    }
}

/// Reads the trace id in `version "-" trace-id "-" parent-id "-" flags`.
fn trace_id(line: &[u8]) -> Option<u128> {
    let (version, rest) = hex(line, 2)?;
    let (trace_id, rest) = hex(after_dash(rest)?, 32)?;
    let (parent_id, rest) = hex(after_dash(rest)?, 16)?;
    let (_flags, rest) = hex(after_dash(rest)?, 2)?;
    let ends = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest[0] == b'-',
    };
    (ends && trace_id != 0 && parent_id != 0).then_some(trace_id)
}

fn after_dash(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"-")
}

/// Reads the number in the first `count` digits of `text`, at most 32, and returns it with the
/// rest.
fn hex(text: &[u8], count: usize) -> Option<(u128, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let number = digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })?;
    Some((number, rest))
}
