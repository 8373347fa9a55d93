//! Headers to which each proxy appends the address that called it.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, header::FORWARDED};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Longest text of an address that is read, in bytes. An IPv6 address with zone, brackets and port
/// is shorter.
const LONGEST: usize = 64;

/// The name of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

impl List {
    pub(super) fn is_in(self, headers: &HeaderMap) -> bool {
        headers.contains_key(match self {
            Self::XForwardedFor => X_FORWARDED_FOR,
            Self::Forwarded => FORWARDED,
        })
    }

    /// Returns the addresses in the header, from the last proxy's entry to the left; `None` for an
    /// unreadable entry. All lines form one list. Lazy: reads only as far as the iterator is
    /// driven.
    pub(super) fn entries(self, headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
        let (name, quotes) = match self {
            Self::XForwardedFor => (X_FORWARDED_FOR, false),
            Self::Forwarded => (FORWARDED, true),
        };
        let lines = headers.get_all(name).into_iter().rev();
        let entries = lines.flat_map(move |line| Pieces {
            rest: Some(line.as_bytes()),
            separator: b',',
            quotes,
        });
        entries.map(move |entry| match self {
            Self::XForwardedFor => parse_address(entry),
            Self::Forwarded => parse_element(entry),
        })
    }
}

/// The pieces of a line between separators, last first.
///
/// With `quotes`, separators in quoted strings do not count. Quotes are paired from the right,
/// where trusted proxies wrote: an unclosed quote that a client sent further left changes nothing.
struct Pieces<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
    quotes: bool,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let mut quoted = false;
        for at in (0..rest.len()).rev() {
            let byte = rest[at];
            if self.quotes && byte == b'"' && !is_escaped(rest, at) {
                quoted = !quoted;
            } else if byte == self.separator && !quoted {
                self.rest = Some(&rest[..at]);
                return Some(&rest[at + 1..]);
            }
        }
        Some(rest)
    }
}

/// Returns whether an odd number of backslashes precedes this byte.
fn is_escaped(line: &[u8], at: usize) -> bool {
    let before = line[..at].iter().rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// Reads the address in `for=` of one element of `Forwarded`, if `for=` occurs exactly once.
fn parse_element(element: &[u8]) -> Option<IpAddr> {
    let pairs = Pieces {
        rest: Some(element),
        separator: b';',
        quotes: true,
    };
    let mut values = pairs.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let is_for = pair[..at].trim_ascii().eq_ignore_ascii_case(b"for");
        is_for.then(|| pair[at + 1..].trim_ascii())
    });
    match (values.next(), values.next()) {
        (Some(value), None) => parse_node(value),
        _ => None,
    }
}

/// Reads a node of RFC 7239 that has an address: `192.0.2.1`, `"192.0.2.1:80"`,
/// `"[2001:db8::1]:_port"`.
fn parse_node(value: &[u8]) -> Option<IpAddr> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return parse_address(value);
    };
    let quoted = quoted.strip_suffix(b"\"")?;
    let mut room = [0; LONGEST];
    let (mut len, mut bytes) = (0, quoted.iter());
    while let Some(byte) = bytes.next() {
        let byte = if *byte == b'\\' { bytes.next()? } else { byte };
        *room.get_mut(len)? = *byte;
        len += 1;
    }
    let text = &room[..len];
    // Only the port may be obfuscated here, not the address.
    let port = text.iter().rposition(|byte| *byte == b':');
    match port {
        Some(at) if text[at + 1..].starts_with(b"_") => parse_address(&text[..at]),
        _ => parse_address(text),
    }
}

/// Reads an address, with or without a port: `1.2.3.4`, `1.2.3.4:56`, `::1`, `[::1]`, `[::1]:56`.
pub(super) fn parse_address(entry: &[u8]) -> Option<IpAddr> {
    let entry = entry.trim_ascii();
    if entry.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(entry).ok()?;
    let unbracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    unbracketed
        .unwrap_or(text)
        .parse()
        .ok()
        .or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}
