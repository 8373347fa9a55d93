//! The exact limit.

use plimsoll_core::Kind;
use plimsoll_rate_limit::Quota;

use crate::{ask, builder, server::Server};

#[tokio::test]
async fn admits_the_burst_and_refuses_with_the_exact_wait() {
    let server = Server::start();
    let limit = builder(&server)
        .quota("all", Quota::per_minute(6).burst(3))
        .connect()
        .expect("valid");
    limit.handle().wait_connected().await;
    for n in 0..3 {
        assert!(ask(&limit, &mut ()).await.is_ok(), "request {n}");
    }
    let rejection = ask(&limit, &mut ()).await.expect_err("over the burst");
    assert_eq!(rejection.kind(), Kind::OverQuota);
    let wait = rejection.wait().expect("exact").as_secs_f64();
    assert!((9.0..=10.0).contains(&wait), "{wait}");
    let handle = limit.handle();
    assert_eq!((handle.admitted(), handle.refused()), (3, 1));
}
