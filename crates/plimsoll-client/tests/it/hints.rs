//! Hints of hostile callees.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use plimsoll_client::{RetryBudget, RetryLayer};
use plimsoll_core::Deadline;
use proptest::prelude::*;
use tokio::time::Instant;
use tower::{Layer as _, ServiceExt as _};

use crate::{
    callee::{Answer, Callee},
    fuzz_target::retry_hint,
};

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..6),
        proptest::sample::select(vec![
            "\n\0",
            "\n\x01",
            "\n\x02",
            "\n\x03",
            "\n\x06",
            // A status with a `RetryInfo` of 1.5 s: whole, and in parts.
            "CAgSDHJhdGUgbGltaXRlZBo2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgBEIDKte4B",
            "CAgSDHJhdGUgbGltaXRlZBo2",
            "Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZv",
            "EgoKCAgBEIDKte4B",
            // The same as bytes: the name of the detail, and a delay.
            "\n\x07",
            "\x1a\x34\x0a\x28type.googleapis.com/google.rpc.RetryInfo\x12\x08\x0a\x06",
            "\x08\x05\x10\x07\x18\x01",
            "5",
            "-1",
            "99999999999999999999",
            "2147483647",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "\"a\";r=0;t=5",
            "text/event-stream",
            "\nid: 5\nretry: 5\ndata: x\n\n",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

proptest! {
    #[test]
    fn hints_of_any_bytes_keep_their_promises(
        fragments in proptest::collection::vec(fragment(), 0..12),
    ) {
        retry_hint(&fragments.concat());
    }
}

const HOSTILE: [&str; 13] = [
    "",
    "-1",
    "0",
    "99999999999999999999999",
    "1.5",
    "1e9",
    "soon",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "2147483648",
    "-2147483648",
    "9223372036854775807",
    // A `RetryInfo` of 10,000 years.
    "CA4SBGJ1c3kaNQoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIJCgcIgLyuzpcJ",
];

#[tokio::test(start_paused = true)]
async fn calls_end_by_their_deadline_whatever_the_callee_asks() {
    for name in [
        "retry-after",
        "grpc-retry-pushback-ms",
        "grpc-status-details-bin",
        "ratelimit",
    ] {
        for value in HOSTILE {
            let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
            let grpc = ("content-type", "application/grpc");
            let code = ("grpc-status", "14");
            for headers in [
                vec![(name, value), date],
                vec![(name, value), (name, "5"), date],
                vec![(name, value), grpc, code],
            ] {
                let status = if headers.contains(&grpc) { 200 } else { 503 };
                let callee = Callee::new(vec![Answer::Head(status, headers.clone()); 50]);
                let budget = RetryBudget::successes(1.0, 100).unwrap();
                let layer = RetryLayer::builder()
                    .max_attempts(40)
                    .budget(budget)
                    .build()
                    .unwrap();
                let mut request = Request::new(Full::<Bytes>::default());
                let (start, limit) = (Instant::now(), Duration::from_secs(100));
                request
                    .extensions_mut()
                    .insert(Deadline::after(start, limit).unwrap());
                let answer = layer
                    .layer(callee.service())
                    .oneshot(request)
                    .await
                    .unwrap();
                assert_eq!(answer.status(), status, "the last answer");
                assert!(start.elapsed() <= limit, "{headers:?}");
                assert!(callee.attempts() <= 40, "{headers:?}");
            }
        }
    }
}
