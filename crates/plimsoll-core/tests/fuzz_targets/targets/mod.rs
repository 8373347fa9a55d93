//! Fuzz targets: one function for each parser of header bytes that a caller or a callee writes.
//!
//! A target takes arbitrary bytes and panics when the parser breaks a promise. It returns whether
//! the parser accepted the input, so that a test can check that its inputs reach both sides. The
//! `fuzz` package at the root of the workspace runs the same functions under libFuzzer.

mod address;
mod answers;
mod keys;
mod refusal;
mod wire;

use http::{HeaderMap, HeaderName, HeaderValue, Request};

pub use self::{
    address::{client_ip, ip_range},
    answers::{content_length, grpc_status, quota_fields, rate_limit_advice},
    keys::{authority, secrets_and_tenants, trace_id},
    refusal::refusal,
    wire::{deadline, priority, threshold},
};

/// The input of a target: a byte that selects settings, and lines separated by `\n`.
struct Input<'a> {
    knob: u8,
    text: &'a [u8],
}

impl<'a> Input<'a> {
    fn new(data: &'a [u8]) -> Self {
        let (knob, text) = data.split_first().unwrap_or((&0, &[]));
        Self { knob: *knob, text }
    }

    /// One header line per line of the text: its first byte selects the name, the rest is the
    /// value. Lines that no HTTP library accepts are skipped.
    fn headers(&self, names: &[HeaderName]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in self.text.split(|byte| *byte == b'\n') {
            if let Some((choice, value)) = line.split_first()
                && let Ok(value) = HeaderValue::from_bytes(value)
            {
                let name = &names[usize::from(*choice) % names.len()];
                // Fails beyond 32,768 headers, which no server accepts.
                _ = headers.try_append(name, value);
            }
        }
        headers
    }

    fn request(&self, names: &[HeaderName]) -> Request<()> {
        let mut req = Request::new(());
        *req.headers_mut() = self.headers(names);
        req
    }
}

/// Returns the values of all lines of a header.
fn lines<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h [u8]> {
    let lines = headers.get_all(name).iter();
    lines.map(HeaderValue::as_bytes).collect()
}
