//! Behaviour through the public API: a fallback around scripted services, alone and fused with
//! policies.

mod causes;
mod declining;
mod grpc;
mod handlers;
mod marks;
mod nested;
mod permits;
mod switches;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{Kind, Policy, Rejection, policy::Verdict};
use plimsoll_fallback::{DEGRADED, Fallback, Fixed};
use tokio::time::Instant;

/// An answer as the client receives it.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    degraded: Option<String>,
    body: Bytes,
}

async fn see<B, E>(answer: Result<Response<B>, E>) -> Seen
where
    B: Body<Error: std::fmt::Debug>,
    E: std::fmt::Debug,
{
    let (head, body) = answer.unwrap().into_parts();
    Seen {
        status: head.status.as_u16(),
        degraded: head
            .headers
            .get(DEGRADED)
            .map(|value| value.to_str().unwrap().to_owned()),
        body: body.collect().await.unwrap().to_bytes(),
    }
}

fn seen(status: u16, degraded: &str, body: &'static str) -> Seen {
    let degraded = Some(degraded.to_owned()).filter(|degraded| !degraded.is_empty());
    Seen {
        status,
        degraded,
        body: body.into(),
    }
}

fn house_ad() -> Fallback<Fixed> {
    Fallback::answer(Response::new("house ad"))
}

/// Answers with the status in the request's body, and the body `inner`.
async fn obey(req: Request<u16>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from("inner"));
    *response.status_mut() = StatusCode::from_u16(*req.body()).unwrap();
    Ok(response)
}

/// Rejects everything, with this kind.
fn reject(kind: Kind) -> RejectAs {
    RejectAs("reject", kind)
}

/// Rejects everything, under this name and with this kind.
#[derive(Debug, Clone, Copy)]
struct RejectAs(&'static str, Kind);

impl<Req> Policy<Req> for RejectAs {
    type Permit = Infallible;
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<Infallible, Infallible> {
        Verdict::Reject(Rejection::new(self.0, self.1))
    }
    fn finish(&self, permit: Infallible, _: &plimsoll_core::Outcome) {
        match permit {}
    }
    fn revoke(&self, permit: Infallible, _: Instant, _: Instant) {
        match permit {}
    }
}
