//! Runs each program's function, with real sockets.

use std::time::Duration;

use clients::{breaker_per_host, hedged_reads, reqwest_retries, tonic_client};

#[tokio::test]
async fn reqwest_sends_a_put_again_until_the_server_has_recovered() {
    let report = reqwest_retries::run().await.unwrap();
    assert_eq!(
        (report.status, &*report.body, report.retries),
        (200, "a value", 2)
    );
}

#[tokio::test]
async fn a_tonic_client_waits_for_the_quota_of_its_callee() {
    let report = tonic_client::run().await.unwrap();
    assert_eq!(
        report.greetings,
        ["Hello Ann!", "Hello Ben!", "Hello Cleo!"]
    );
    assert_eq!(report.free, 2);
    assert!(report.took >= Duration::from_millis(900), "{report:?}");
}

#[tokio::test]
async fn one_bad_host_does_not_stop_the_other() {
    let report = breaker_per_host::run().await.unwrap();
    assert_eq!(report.good, 100);
    assert!(report.rejected >= 80, "{report:?}");
    assert!(report.attempts <= 20, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hedges_cut_the_slowest_reads() {
    let report = hedged_reads::run().await.unwrap();
    assert!(report.plain >= hedged_reads::SLOW, "{report:?}");
    assert!(report.hedged < hedged_reads::SLOW / 2, "{report:?}");
    assert!(report.won >= 5 && report.hedges <= 60, "{report:?}");
}
