//! A policy and a service that follow the script in the request.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use plimsoll_core::{GateLayer, Kind, Outcome, Policy, Rejection, policy::Verdict};
use plimsoll_metrics::GateMetrics;
use tokio::time::{Instant, Sleep, sleep};
use tower::{Layer, ServiceExt, util::BoxCloneService};

/// The script of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Play {
    /// Answered with this status after this time.
    Answer(u16, Duration),
    /// Rejected.
    Reject(&'static str, Kind),
    /// Queued for this time, then answered with 200.
    Queue(Duration),
    /// Queued for this time, then rejected.
    QueueThenReject(Duration, &'static str, Kind),
    /// Admitted, and never answered.
    Hang,
}

pub(crate) struct Playing;

/// The time to wait, and how it ends.
type Wait = (Pin<Box<Sleep>>, Result<(), Rejection>);

impl Policy<Request<Play>> for Playing {
    type Permit = ();
    type Wait = Wait;

    fn admit(&self, req: &mut Request<Play>, _: Instant) -> Verdict<(), Wait> {
        match *req.body() {
            Play::Reject(policy, kind) => Verdict::Reject(Rejection::new(policy, kind)),
            Play::Queue(time) => Verdict::Wait((Box::pin(sleep(time)), Ok(()))),
            Play::QueueThenReject(time, policy, kind) => {
                Verdict::Wait((Box::pin(sleep(time)), Err(Rejection::new(policy, kind))))
            }
            Play::Answer(..) | Play::Hang => Verdict::Admit(()),
        }
    }

    fn poll_wait(
        &self,
        mut wait: Pin<&mut Wait>,
        _: &mut Request<Play>,
        _: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        ready!(wait.0.as_mut().poll(cx));
        Poll::Ready(wait.1)
    }

    fn abandon(&self, _: Pin<&mut Wait>, _: Instant) {}
    fn finish(&self, (): (), _: &Outcome) {}
    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

async fn play(req: Request<Play>) -> Result<Response<String>, Infallible> {
    let status = match *req.body() {
        Play::Answer(status, time) => {
            sleep(time).await;
            status
        }
        Play::Hang => std::future::pending().await,
        _ => 200,
    };
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    Ok(response)
}

/// A real gate that reports to `gate`; the future runs one request to the end of its body.
pub(crate) fn run(gate: &GateMetrics, what: Play) -> BoxFuture<'static, StatusCode> {
    let layer = GateLayer::builder(Playing).observe(gate.clone()).build();
    let service = BoxCloneService::new(layer.layer(tower::service_fn(play)));
    Box::pin(async move {
        let response = service.oneshot(Request::new(what)).await.unwrap();
        let status = response.status();
        _ = http_body_util::BodyExt::collect(response.into_body()).await;
        status
    })
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
