//! The fuzz target for the headers that a client reads before a call. The `fuzz` package includes
//! this file.

use http::{HeaderName, HeaderValue, Method, Request, header::CONTENT_TYPE};
use plimsoll_client::Downstream;
use plimsoll_core::{
    ByHeader, Deadlines, Instant, Kind, Policy,
    policy::{Announcement, Prioritize as _, ReadDeadline as _, Verdict},
    wire::{COHORT, CRITICALITY, THRESHOLD, TIMEOUT},
};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Takes one header per line of the input, its name chosen by the first byte. Returns whether the
/// call is made.
///
/// Checks: the callee reads the stated priority from the headers, and a deadline that is not later;
/// a threshold in the answer is in range and is removed.
pub fn downstream(data: &[u8]) -> bool {
    const NAMES: [HeaderName; 6] = [
        CRITICALITY,
        COHORT,
        TIMEOUT,
        GRPC_TIMEOUT,
        CONTENT_TYPE,
        THRESHOLD,
    ];
    let mut req = Request::new(());
    *req.method_mut() = Method::POST;
    for line in data.split(|byte| *byte == b'\n') {
        if let Some((choice, value)) = line.split_first()
            && let Ok(value) = HeaderValue::from_bytes(value)
        {
            let name = &NAMES[usize::from(*choice) % NAMES.len()];
            // Fails beyond 32,768 headers, which no server accepts.
            _ = req.headers_mut().try_append(name, value);
        }
    }
    let now = Instant::now();
    let stated = ByHeader::trusted().priority(&req);
    let deadline = Deadlines::propagated().deadline(&req, now);
    // The callee's answer has the request's headers, `plimsoll-threshold` among them.
    let mut answer = req.headers().clone();

    let client = Downstream::new();
    let permit = match client.admit(&mut req, now) {
        Verdict::Admit(permit) => permit,
        Verdict::Reject(rejection) => {
            assert_eq!(rejection.kind(), Kind::Deadline);
            assert!(deadline.is_some(), "{req:?}");
            return false;
        }
        Verdict::Wait(never) => match never {},
    };
    let callee = ByHeader::trusted();
    let read = callee.priority(&req);
    assert_eq!(callee.malformed(), 0, "{req:?}");
    assert_eq!(read.criticality(), stated.criticality());
    assert_eq!(read.cohort(), stated.cohort().or(read.cohort()));
    assert!(read.cohort().is_some());
    let told = Deadlines::propagated().deadline(&req, now);
    assert_eq!(told.is_some(), deadline.is_some());
    assert!(
        told <= deadline && told.is_none_or(|told| told.0 > now),
        "{told:?} of {deadline:?}"
    );

    let mut out = Announcement::to(&mut answer);
    Policy::<Request<()>>::announce(&client, &permit, now, &mut out);
    assert_eq!(plimsoll_core::wire::threshold(&answer), None);
    assert!(client.handle().threshold(now) < plimsoll_core::Priority::LEVELS);
    true
}
