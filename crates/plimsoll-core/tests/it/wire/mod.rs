//! Rejections and announcements on the wire.

mod fields;
mod grpc;
mod rejections;
mod threshold;
mod well_formed;

use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{GateLayer, Http, Rejection, policy::Allowance};
use tower::{Layer as _, ServiceExt as _};

/// Rejects every request with this rejection.
pub(crate) struct Reject(pub(crate) Rejection);

impl<Req> plimsoll_core::Policy<Req> for Reject {
    type Permit = std::convert::Infallible;
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::policy::Verdict<Self::Permit, Self::Wait> {
        plimsoll_core::policy::Verdict::Reject(self.0)
    }
    fn finish(&self, permit: Self::Permit, _: &plimsoll_core::Outcome) {
        match permit {}
    }
    fn revoke(&self, permit: Self::Permit, _: tokio::time::Instant, _: tokio::time::Instant) {
        match permit {}
    }
}

/// Admits every request and announces these quotas.
struct Announces<const N: usize>([Allowance; N]);

impl<Req, const N: usize> plimsoll_core::Policy<Req> for Announces<N> {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);
    fn admit(
        &self,
        _: &mut Req,
        _: tokio::time::Instant,
    ) -> plimsoll_core::policy::Verdict<(), Self::Wait> {
        plimsoll_core::policy::Verdict::Admit(())
    }
    fn announce(
        &self,
        (): &(),
        _: tokio::time::Instant,
        out: &mut plimsoll_core::policy::Announcement<'_>,
    ) {
        self.0.iter().for_each(|quota| out.allowance(quota));
    }
    fn finish(&self, (): (), _: &plimsoll_core::Outcome) {}
    fn revoke(&self, (): (), _: tokio::time::Instant, _: tokio::time::Instant) {}
}

pub(crate) async fn answer(
    protocol: Http,
    rejection: Rejection,
    req: Request<()>,
) -> (Response<()>, String) {
    let inner = tower::service_fn(|_: Request<()>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(bytes::Bytes::new())))
    });
    let layer = GateLayer::builder(Reject(rejection))
        .protocol(protocol)
        .build();
    let (head, body) = layer.layer(inner).oneshot(req).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        Response::from_parts(head, ()),
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

pub(crate) fn grpc_request() -> Request<()> {
    Request::post("/")
        .header("content-type", "application/grpc+proto")
        .body(())
        .unwrap()
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

const QUOTA: Allowance = Allowance {
    name: "per-user",
    limit: 100,
    window_secs: 60,
    remaining: 0,
    reset: Duration::from_millis(4_200),
};
