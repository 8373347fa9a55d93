//! `google.rpc.RetryInfo`: as tonic and protobuf write it, and as any bytes.

use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue};
use plimsoll_core::support::retry_info;
use proptest::{collection::vec, prelude::*};
use tonic_types::{ErrorDetails, StatusExt as _};

fn read(status: &tonic::Status) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    retry_info(headers.get("grpc-status-details-bin")?)
}

fn read_bytes(status: &[u8]) -> Option<Duration> {
    retry_info(&HeaderValue::try_from(BASE64_STANDARD.encode(status)).unwrap())
}

fn unavailable(message: &str, details: ErrorDetails) -> tonic::Status {
    tonic::Status::with_error_details(tonic::Code::Unavailable, message, details)
}

proptest! {
    #[test]
    fn the_delay_that_tonic_writes_is_read(
        secs in 0..=315_576_000_000_u64,
        nanos in 0..1_000_000_000_u32,
        message in ".*",
        others in 0..8_u8,
    ) {
        let delay = Duration::new(secs, nanos);
        let mut details = ErrorDetails::with_retry_info(Some(delay));
        if others & 1 > 0 {
            details.set_debug_info(vec![message.clone()], &*message);
        }
        if others & 2 > 0 {
            details.add_quota_failure_violation("subject", &*message);
        }
        if others & 4 > 0 {
            details.set_error_info("REASON", "domain", [(message.clone(), message.clone())]);
        }
        prop_assert_eq!(read(&unavailable(&message, details)), Some(delay));
    }

    #[test]
    fn any_bytes_are_read_or_ignored(bytes in vec(any::<u8>(), 0..200)) {
        _ = read_bytes(&bytes);
        if let Ok(raw) = HeaderValue::from_bytes(&bytes) {
            _ = retry_info(&raw);
        }
    }

    #[test]
    fn what_tonic_reads_of_changed_and_cut_details_is_read(
        at in 0..64_usize,
        byte in any::<u8>(),
        length in 0..64_usize,
    ) {
        let whole = ErrorDetails::with_retry_info(Some(Duration::new(5, 7)));
        let status = unavailable("", whole);
        let mut bytes = status.details().to_vec();
        prop_assert!(bytes.len() <= 64);
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(length);
        let details = bytes::Bytes::from(bytes.clone());
        let changed = tonic::Status::with_details(tonic::Code::Unavailable, "busy", details);
        let theirs = changed.get_details_retry_info().and_then(|info| info.retry_delay);
        let ours = read_bytes(&bytes);
        if theirs.is_some() {
            prop_assert_eq!(ours, theirs);
        }
    }
}
