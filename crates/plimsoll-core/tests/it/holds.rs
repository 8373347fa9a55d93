//! The defaults of `Hold`, for permits that are not the gate's own.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{
    Class, Http,
    policy::{Announcement, End, Spent, WaitsOn},
    protocol::{GateBody, Hold, HttpCall},
};

const HEADER: HeaderName = HeaderName::from_static("announced");

/// What the permit was called with.
#[derive(Default)]
struct Calls {
    waits: Vec<WaitsOn>,
    ends: Vec<Class>,
}

/// A permit that announces a header, and that leaves every default as it is.
struct OwnHold {
    http: Http,
    calls: Arc<Mutex<Calls>>,
}

impl Hold for OwnHold {
    type Protocol = Http;

    fn protocol(&self) -> &Http {
        &self.http
    }
    fn announce(&self, out: &mut Announcement<'_>) {
        out.headers()
            .insert(HEADER, HeaderValue::from_static("yes"));
    }
    fn head(&mut self) {}
    fn body_waits(&mut self, on: WaitsOn) {
        self.calls.lock().unwrap().waits.push(on);
    }
    fn settle_spent(&mut self, end: End, _: Spent) {
        self.calls.lock().unwrap().ends.push(end.class);
    }
}

/// Completes a response through such a permit, and reads it to its end.
async fn completed() -> (Response<()>, Calls) {
    let calls = Arc::<Mutex<Calls>>::default();
    let held = OwnHold {
        http: Http::new(),
        calls: Arc::clone(&calls),
    };
    let call = HttpCall::begin(&Request::new(()));
    // More follows after the data, so the body waits for the caller.
    let body = Full::new(Bytes::from_static(b"data")).with_trailers(std::future::ready(None));
    let inner = Response::new(body);
    let (head, body) = call.complete(held, inner).into_parts();
    let Ok(bytes) = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    assert_eq!(bytes, "data");
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    (Response::from_parts(head, ()), calls)
}

#[tokio::test]
async fn a_permit_announces_by_default() {
    let (head, calls) = completed().await;
    assert_eq!(head.headers()[HEADER], "yes");
    assert_eq!(calls.ends, [Class::Success]);
}

#[tokio::test]
async fn a_permit_watches_bodies_by_default() {
    let (_, calls) = completed().await;
    assert_eq!(calls.waits, [WaitsOn::Caller]);
}

#[tokio::test]
async fn a_known_class_replaces_the_class_of_the_head() {
    let calls = Arc::<Mutex<Calls>>::default();
    let held = OwnHold {
        http: Http::new(),
        calls: Arc::clone(&calls),
    };
    let call = HttpCall::begin(&Request::new(()));
    let inner = Response::new(Full::new(Bytes::from_static(b"data")));
    let response = call.complete_as(Class::Overloaded, held, inner);
    let Ok(bytes) = response
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    assert_eq!(bytes, "data");
    assert_eq!(calls.lock().unwrap().ends, [Class::Overloaded]);
}

#[tokio::test]
async fn a_settled_body_is_the_inner_body() {
    let inner = Full::new(Bytes::from_static(b"data"));
    let body = GateBody::<_, OwnHold>::settled(inner);
    let Ok(bytes) = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    assert_eq!(bytes, "data");
}
