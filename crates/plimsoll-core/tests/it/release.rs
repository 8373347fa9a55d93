//! Releasing the permit at the head, and handing it over to the owner of a socket.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use plimsoll_core::{Class, GateLayer, Handover, Http, Release};
use tower::{Layer as _, ServiceExt as _};

use crate::sample::Slots;

type Endless =
    StreamBody<futures_util::stream::Pending<Result<http_body::Frame<Bytes>, std::io::Error>>>;

fn endless() -> Response<Endless> {
    Response::new(StreamBody::new(futures_util::stream::pending()))
}

#[tokio::test]
async fn the_handler_or_the_layer_can_release_at_the_head() {
    let by_handler = tower::service_fn(|_: Request<()>| async {
        let mut response = endless();
        response.extensions_mut().insert(Release::AtHead);
        Ok::<_, std::io::Error>(response)
    });
    let layer = GateLayer::new(Slots::new(1));
    let response = layer
        .layer(by_handler)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(layer.policy().in_flight(), 0);
    assert_eq!(layer.policy().last().class, Class::Success);
    drop(response);

    let plain = tower::service_fn(|_: Request<()>| async { Ok::<_, std::io::Error>(endless()) });
    let protocol = Http::new().release(Release::AtHead);
    let layer = GateLayer::builder(Slots::new(1)).protocol(protocol).build();
    let response = layer.layer(plain).oneshot(Request::new(())).await.unwrap();
    assert_eq!(layer.policy().in_flight(), 0);
    drop(response);
}

#[tokio::test]
async fn the_handlers_release_overrides_the_layers() {
    let inner = tower::service_fn(|_: Request<()>| async {
        let mut response = endless();
        response.extensions_mut().insert(Release::AtEnd);
        Ok::<_, std::io::Error>(response)
    });
    let protocol = Http::new().release(Release::AtHead);
    let layer = GateLayer::builder(Slots::new(1)).protocol(protocol).build();
    let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();
    assert_eq!(layer.policy().in_flight(), 1);
    drop(response);
    assert_eq!(layer.policy().in_flight(), 0);
}

#[tokio::test]
async fn an_upgrade_hands_the_permits_of_all_gates_to_the_sockets_owner() {
    let (handover, claim) = Handover::pair();
    let inner = tower::service_fn(move |_: Request<()>| {
        let handover = handover.clone();
        async move {
            let mut response = endless();
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.extensions_mut().insert(handover);
            Ok::<_, std::io::Error>(response)
        }
    });
    let (outer, middle) = (GateLayer::new(Slots::new(1)), GateLayer::new(Slots::new(1)));
    let service = outer.layer(middle.layer(inner));
    let response = service.oneshot(Request::new(())).await.unwrap();
    drop(response);
    assert_eq!(
        (outer.policy().in_flight(), middle.policy().in_flight()),
        (1, 1)
    );
    drop(claim);
    assert_eq!(
        (outer.policy().in_flight(), middle.policy().in_flight()),
        (0, 0)
    );
    assert_eq!(outer.policy().last().class, Class::Success);
}

#[tokio::test]
async fn a_permit_handed_to_a_dropped_claim_ends_at_once() {
    let (handover, claim) = Handover::pair();
    drop(claim);
    let inner = tower::service_fn(move |_: Request<()>| {
        let handover = handover.clone();
        async move {
            let mut response = endless();
            response.extensions_mut().insert(handover);
            Ok::<_, std::io::Error>(response)
        }
    });
    let layer = GateLayer::new(Slots::new(1));
    let response = layer.layer(inner).oneshot(Request::new(())).await.unwrap();
    assert_eq!(layer.policy().in_flight(), 0);
    drop(response.into_body().into_data_stream());
}
