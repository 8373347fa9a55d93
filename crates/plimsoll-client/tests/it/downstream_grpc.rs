//! `Downstream` over gRPC, with tonic on both ends.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use plimsoll_client::{CallContext, Downstream};
use plimsoll_core::{ByHeader, Criticality, Deadline, Deadlines, GateLayer, Priority, wire};
use plimsoll_load_shed::LoadShed;
use tokio::time::Instant;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    client::Grpc as GrpcClient,
    codegen::{BoxFuture, http::uri::PathAndQuery},
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Server},
};
use tonic_prost::ProstCodec;
use tower::{Layer as _, Service, ServiceExt as _};

use crate::{Dial, within_a_minute};

const PATH: &str = "/test.Echo/Echo";

/// Answers with the context of the request.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl UnaryService<String> for Echo {
    type Response = String;
    type Future = std::future::Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let priority = request.extensions().get::<Priority>().unwrap();
        let deadline = request.extensions().get::<Deadline>();
        let left = deadline.map(|deadline| deadline.remaining(Instant::now()).as_secs());
        let answer = format!(
            "{} {:?} {left:?}",
            priority.criticality(),
            priority.cohort()
        );
        std::future::ready(Ok(Response::new(answer)))
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: http::Request<Body>) -> Self::Future {
        Box::pin(async { Ok(Grpc::new(ProstCodec::default()).unary(Echo, req).await) })
    }
}

async fn serve(dial: &Dial) -> Channel {
    let shed = LoadShed::new(dial.clone()).between(0.0, 1.0).unwrap();
    let shed = shed.announce_threshold();
    let gate = GateLayer::new((Deadlines::propagated(), ByHeader::trusted(), shed));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = Server::builder().layer(gate).add_service(Echo);
    tokio::spawn(server.serve_with_incoming(incoming));
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

fn request(criticality: Criticality, timeout: Duration) -> Request<String> {
    let mut request = Request::new("hello".to_owned());
    // As a handler does with the context of its own request.
    let context = CallContext {
        priority: Some(Priority::new(criticality).in_cohort(9)),
        deadline: Deadline::after(Instant::now(), timeout),
    };
    request.extensions_mut().insert(context.priority.unwrap());
    request.extensions_mut().insert(context.deadline.unwrap());
    request
}

#[tokio::test]
async fn priority_and_deadline_arrive_and_the_client_receives_the_threshold() {
    let dial = Dial::at(0.0);
    let hour = Duration::from_secs(3600);
    let downstream = Downstream::new().probe_every(hour).unwrap();
    let handle = downstream.handle();
    let channel = GateLayer::new(downstream).layer(serve(&dial).await);
    let call = async |criticality| {
        let mut client = GrpcClient::new(channel.clone());
        within_a_minute(client.ready()).await.unwrap();
        let request = request(criticality, Duration::from_secs(50));
        let path = PathAndQuery::from_static(PATH);
        let codec = ProstCodec::<String, String>::default();
        within_a_minute(client.unary(request, path, codec)).await
    };
    let answer = call(Criticality::Sheddable).await.unwrap();
    assert_eq!(answer.get_ref(), "SHEDDABLE Some(9) Some(49)");
    assert!(
        answer.metadata().get("plimsoll-threshold").is_none(),
        "the header is removed"
    );

    dial.set(0.25); // 128: all of SHEDDABLE
    while handle.threshold(Instant::now()) == 0 {
        let refused = call(Criticality::Sheddable).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
    }
    assert_eq!(handle.threshold(Instant::now()), 128);
    let sent = handle.sent(Criticality::Sheddable);

    let refused = call(Criticality::Sheddable).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(handle.sent(Criticality::Sheddable), sent, "rejected here");
    assert_eq!(handle.shed(Criticality::Sheddable), 1);

    dial.set(0.0);
    while handle.threshold(Instant::now()) > 0 {
        call(Criticality::Critical).await.unwrap();
    }
    call(Criticality::Sheddable).await.unwrap();
}

#[tokio::test]
async fn the_threshold_is_in_the_trailers() {
    let channel = serve(&Dial::at(0.25)).await;
    // "hello" as field 1, in one frame.
    let frame = Full::new(bytes::Bytes::from_static(b"\0\0\0\0\x07\x0a\x05hello"));
    let req = http::Request::post(PATH)
        .header("content-type", "application/grpc")
        .body(Body::new(frame))
        .unwrap();
    let response = within_a_minute(channel.oneshot(req)).await.unwrap();
    assert_eq!(response.headers()[wire::THRESHOLD], "128");
    let body = within_a_minute(response.into_body().collect())
        .await
        .unwrap();
    let trailers = body.trailers().unwrap();
    assert_eq!(trailers[wire::THRESHOLD], "128");
    assert_eq!(trailers["grpc-status"], "0");
}
