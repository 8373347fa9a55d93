//! A limit for each key.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use plimsoll_concurrency::ConcurrencyLimit;
use plimsoll_core::{GateLayer, HeaderKey, Missing, policy::Evictable};
use tokio::time::{Instant, advance};
use tower::{Layer, ServiceExt, service_fn};

use crate::{call, queued, with_deadlines};

type Body = Full<bytes::Bytes>;

#[tokio::test(start_paused = true)]
async fn cells_have_their_own_slots_and_share_settings_and_counters() {
    let each = with_deadlines(ConcurrencyLimit::new(1).unwrap());
    let (one, two) = (each.cell(), each.cell());
    let _running = (call(&one), call(&two));
    assert!(call(&one).rejection().is_some() && call(&two).rejection().is_some());
    assert_eq!(
        (one.handle().in_flight(), each.handle().in_flight()),
        (1, 0)
    );
    assert_eq!(each.handle().rejected(), 2, "of all cells");

    each.handle().set_limit(2).unwrap();
    assert!(call(&one).is_running() && call(&two).is_running());
}

#[tokio::test(start_paused = true)]
async fn a_limit_raised_in_another_cell_admits_waiters_at_the_next_release() {
    let each = queued(2, 8);
    let cell = each.cell();
    let (one, _two) = (call(&cell), call(&cell));
    let mut waiting = [call(&cell), call(&cell), call(&cell)];
    each.handle().set_limit(4).unwrap();
    drop(one);
    assert!(waiting.iter_mut().all(super::Call::is_running));
    assert_eq!(cell.handle().in_flight(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_cell_has_settled_only_when_it_is_empty() {
    let cell = queued(1, 2);
    let now = Instant::now();
    assert!(cell.settles_in(now).is_zero());
    let running = call(&cell);
    assert!(!cell.settles_in(now).is_zero());
    let waiting = call(&cell);
    drop(running);
    assert!(
        !cell.settles_in(now).is_zero(),
        "the slot was granted to the waiter"
    );
    drop(waiting);
    assert!(cell.settles_in(now).is_zero());

    let running = call(&cell);
    advance(Duration::from_millis(7)).await;
    running.finish();
    assert_ne!(cell.handle().retry_after(), Duration::from_secs(1));
    cell.reset();
    assert_eq!(
        cell.handle().retry_after(),
        Duration::from_secs(1),
        "the state was reset"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tenant_at_its_limit_gets_429_and_does_not_affect_others() {
    let each = ConcurrencyLimit::new(1).unwrap().reject_as_over_quota();
    let tenant = HeaderKey::from_static("x-tenant");
    let keyed = each.per_key(tenant, Missing::Share, 512).unwrap();
    let layer = GateLayer::new(keyed);
    let service = layer.layer(service_fn(|_: Request<Body>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Body::from("hello")))
    }));
    let call = async |tenant: &str| {
        let req = Request::get("/")
            .header("x-tenant", tenant)
            .body(Body::default())
            .unwrap();
        service.clone().oneshot(req).await.unwrap()
    };
    let first = call("a").await;
    assert_eq!(call("a").await.status(), StatusCode::TOO_MANY_REQUESTS);
    let other = call("b").await;
    assert_eq!(
        (first.status(), other.status()),
        (StatusCode::OK, StatusCode::OK)
    );
    drop(first);
    assert_eq!(call("a").await.status(), StatusCode::OK);
}
