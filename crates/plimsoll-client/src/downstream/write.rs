//! Writes priority and deadline to headers.

use http::{HeaderValue, Request};
use plimsoll_core::{Deadline, Priority, support::grpc_timeout, wire};
use tokio::time::Instant;

const GRPC_TIMEOUT: http::HeaderName = http::HeaderName::from_static("grpc-timeout");

/// Writes the time left. Returns `None` when it is zero.
pub(super) fn write_deadline<B>(
    req: &mut Request<B>,
    deadline: Deadline,
    now: Instant,
) -> Option<()> {
    let left = deadline.remaining(now);
    let (name, value) = if wire::is_grpc(req) {
        (GRPC_TIMEOUT, grpc_timeout(left)?)
    } else {
        let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return None;
        }
        (wire::TIMEOUT, HeaderValue::from(millis.min(MOST_MILLIS)))
    };
    req.headers_mut().insert(name, value);
    Some(())
}

/// The largest value of twelve digits, the maximum that the reader accepts.
const MOST_MILLIS: u64 = 999_999_999_999;

pub(super) fn write_priority<B>(req: &mut Request<B>, priority: Priority) {
    let headers = req.headers_mut();
    let criticality = HeaderValue::from_static(priority.criticality().as_str());
    headers.insert(wire::CRITICALITY, criticality);
    if let Some(cohort) = priority.cohort() {
        headers.insert(wire::COHORT, digits(cohort));
    }
}

/// Three digits, as a slice of a constant: no allocation.
fn digits(cohort: u8) -> HeaderValue {
    const ALL: [u8; 3 * Priority::COHORTS as usize] = {
        let mut all = [0; 3 * Priority::COHORTS as usize];
        let mut n = 0;
        while n < Priority::COHORTS as usize {
            all[3 * n] = b'0' + (n / 100) as u8;
            all[3 * n + 1] = b'0' + (n / 10 % 10) as u8;
            all[3 * n + 2] = b'0' + (n % 10) as u8;
            n += 1;
        }
        all
    };
    static DIGITS: [u8; 3 * Priority::COHORTS as usize] = ALL;
    let at = 3 * usize::from(cohort);
    let digits = bytes::Bytes::from_static(&DIGITS[at..at + 3]);
    HeaderValue::from_maybe_shared(digits).unwrap_or_else(|_| HeaderValue::from(u16::from(cohort)))
}
