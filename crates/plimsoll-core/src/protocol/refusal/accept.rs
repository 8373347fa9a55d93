//! Whether a caller accepts a problem document.

use http::{HeaderMap, header::ACCEPT};

/// Returns whether the caller's `accept` covers `application/problem+json` or any JSON. Of the
/// ranges that cover it, the most specific decides (RFC 9110, section 12.5.1). Absent or empty:
/// `true`.
pub(super) fn accepts_problems(asked: &HeaderMap) -> bool {
    let lines = asked.get_all(ACCEPT).iter();
    let ranges = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let decisive = ranges.filter_map(judged).max();
    decisive.is_none_or(|(_, accepted)| accepted)
}

/// Returns how specific a range of `accept` is for problem documents, and whether it accepts them.
///
/// 0 means that it does not cover them. `None` for an empty range.
fn judged(range: &[u8]) -> Option<(usize, bool)> {
    const COVERING: [&[u8]; 4] = [
        b"*/*",
        b"application/*",
        b"application/json",
        b"application/problem+json",
    ];
    let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let media = parts.next().filter(|media| !media.is_empty())?;
    let covers = |known: &&[u8]| media.eq_ignore_ascii_case(known);
    let specificity = COVERING.iter().position(covers).map_or(0, |at| at + 1);
    Some((specificity, specificity > 0 && !parts.any(is_zero_weight)))
}

/// Returns whether this is `q=0`, with up to three more zeros.
fn is_zero_weight(parameter: &[u8]) -> bool {
    match parameter {
        [b'q' | b'Q', b'=', b'0', rest @ ..] => rest.iter().all(|byte| matches!(byte, b'0' | b'.')),
        _ => false,
    }
}
