//! Retries of gRPC calls, with tonic on both ends.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use plimsoll_client::{Backoff, RetryBudget, RetryBuilder, RetryLayer};
use tokio::time::Instant;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    client::Grpc as GrpcClient,
    codegen::{BoxFuture, http::uri::PathAndQuery},
    metadata::MetadataMap,
    server::{Grpc, NamedService, UnaryService},
    transport::{Channel, Server},
};
use tonic_prost::ProstCodec;
use tower::{Service, ServiceBuilder};

use crate::{ms, within_a_minute};

/// Fails a number of calls in its trailers, then answers with the number of earlier attempts.
#[derive(Clone)]
struct Flaky {
    failures: Arc<AtomicU32>,
    code: Code,
    pushback: Option<&'static str>,
    /// `google.rpc.Status`.
    details: &'static [u8],
}

impl NamedService for Flaky {
    const NAME: &'static str = "test.Flaky";
}

impl UnaryService<String> for Flaky {
    type Response = String;
    type Future = std::future::Ready<Result<Response<String>, Status>>;

    fn call(&mut self, request: Request<String>) -> Self::Future {
        let fails = self
            .failures
            .fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        std::future::ready(if fails.is_ok() {
            let mut metadata = MetadataMap::new();
            if let Some(pushback) = self.pushback {
                metadata.insert("grpc-retry-pushback-ms", pushback.parse().unwrap());
            }
            let details = bytes::Bytes::from_static(self.details);
            let (code, message) = (self.code, "flaky");
            Err(Status::with_details_and_metadata(
                code, message, details, metadata,
            ))
        } else {
            let earlier = request.metadata().get("grpc-previous-rpc-attempts");
            let earlier = earlier.map_or("none", |value| value.to_str().unwrap());
            Ok(Response::new(format!(
                "{} after {earlier}",
                request.get_ref()
            )))
        })
    }
}

impl Service<http::Request<Body>> for Flaky {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let answer = Grpc::new(ProstCodec::default()).unary(service, req).await;
            Ok(with_trailers(answer))
        })
    }
}

/// Sends the status of a failed call as trailers behind a head, as many servers do. tonic sends it in
/// the head.
fn with_trailers(answer: http::Response<Body>) -> http::Response<Body> {
    if !answer.headers().contains_key("grpc-status") {
        return answer;
    }
    let (mut head, _) = answer.into_parts();
    let mut trailers = http::HeaderMap::new();
    for name in [
        "grpc-status",
        "grpc-message",
        "grpc-retry-pushback-ms",
        "grpc-status-details-bin",
    ] {
        if let Some(value) = head.headers.remove(name) {
            trailers.insert(name, value);
        }
    }
    let body = http_body_util::BodyExt::with_trailers(
        http_body_util::Empty::<bytes::Bytes>::new(),
        std::future::ready(Some(Ok(trailers))),
    );
    http::Response::from_parts(head, Body::new(body))
}

async fn serve(flaky: Flaky) -> Channel {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        Server::builder()
            .add_service(flaky)
            .serve_with_incoming(incoming),
    );
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

fn settings() -> RetryBuilder {
    let backoff = Backoff::new(ms(2), ms(10)).unwrap();
    RetryLayer::builder()
        .backoff(backoff)
        .every_method()
        .grpc_unary(64 * 1024)
}

async fn call(
    failures: u32,
    code: Code,
    pushback: Option<&'static str>,
    layer: &RetryLayer,
) -> Result<Response<String>, Status> {
    let failures = Arc::new(AtomicU32::new(failures));
    let details = &[];
    let flaky = Flaky {
        failures,
        code,
        pushback,
        details,
    };
    call_of(flaky, layer).await
}

async fn call_of(flaky: Flaky, layer: &RetryLayer) -> Result<Response<String>, Status> {
    let channel = serve(flaky).await;
    let stack = ServiceBuilder::new()
        .layer(layer.clone())
        .map_request(|req: http::Request<_>| req.map(Body::new))
        .service(channel);
    let mut client = GrpcClient::new(stack);
    within_a_minute(client.ready()).await.unwrap();
    let path = PathAndQuery::from_static("/test.Flaky/Call");
    let codec = ProstCodec::<String, String>::default();
    let mut request = Request::new("hello".to_owned());
    request.set_timeout(Duration::from_secs(20));
    within_a_minute(client.unary(request, path, codec)).await
}

#[tokio::test]
async fn a_unary_call_is_decided_by_its_trailers() {
    let layer = settings().build().unwrap();
    let answer = call(2, Code::Unavailable, None, &layer).await.unwrap();
    assert_eq!(answer.get_ref(), "hello after 2");
    assert_eq!(layer.handle().retries(), 2);

    let head = RetryLayer::builder().every_method().build().unwrap();
    let status = call(1, Code::Unavailable, None, &head).await.unwrap_err();
    assert_eq!(
        status.code(),
        Code::Unavailable,
        "without the opt-in the head commits the call"
    );
    assert_eq!(head.handle().retries(), 0);
}

#[tokio::test]
async fn a_call_that_succeeds_arrives_whole() {
    let layer = settings().build().unwrap();
    let answer = call(0, Code::Ok, None, &layer).await.unwrap();
    assert_eq!(answer.get_ref(), "hello after none");
}

#[tokio::test]
async fn other_codes_are_final() {
    for code in [
        Code::Internal,
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::ResourceExhausted,
    ] {
        let layer = settings().build().unwrap();
        let status = call(1, code, Some("1"), &layer).await.unwrap_err();
        assert_eq!((status.code(), layer.handle().retries()), (code, 0));
    }
}

#[tokio::test]
async fn pushback_sets_the_wait_or_forbids_the_retry() {
    let layer = settings().build().unwrap();
    let start = Instant::now();
    call(1, Code::Unavailable, Some("300"), &layer)
        .await
        .unwrap();
    assert!(start.elapsed() >= ms(300));
    for pushback in ["-1", "x", "+1", "99999999999"] {
        let layer = settings().build().unwrap();
        let status = call(1, Code::Unavailable, Some(pushback), &layer)
            .await
            .unwrap_err();
        assert_eq!(
            (status.code(), layer.handle().retries()),
            (Code::Unavailable, 0)
        );
    }
    // A wait beyond the call's `grpc-timeout` of 20 s ends it at once.
    let start = Instant::now();
    assert!(
        call(1, Code::Unavailable, Some("30000"), &layer)
            .await
            .is_err()
    );
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// A status with a `RetryInfo` of 300 ms, as any gRPC server writes it.
const RETRY_INFO: &[u8] = b"\x08\x0e\x1a4\x0a(type.googleapis.com/google.rpc.RetryInfo\
    \x12\x08\x0a\x06\x10\x80\xc6\x86\x8f\x01";

#[tokio::test]
async fn retry_info_in_trailers_is_a_lower_bound_and_yields_to_a_pushback() {
    for (pushback, at_least, retries) in [(None, 300, 1), (Some("-1"), 0, 0)] {
        let layer = settings().build().unwrap();
        let flaky = Flaky {
            failures: Arc::new(AtomicU32::new(1)),
            code: Code::Unavailable,
            pushback,
            details: RETRY_INFO,
        };
        let start = Instant::now();
        let answer = call_of(flaky, &layer).await;
        assert_eq!(answer.is_ok(), retries == 1, "{pushback:?}");
        assert_eq!(layer.handle().retries(), retries, "{pushback:?}");
        assert!(start.elapsed() >= ms(at_least), "{pushback:?}");
    }
}

#[tokio::test]
async fn the_tokens_of_grfc_a6_count_each_failure() {
    let budget = RetryBudget::grpc(4, 0.5).unwrap();
    let layer = settings().budget(budget.clone()).build().unwrap();
    // 4, then 3 (retried), then 2, which is not above half.
    assert!(call(9, Code::Unavailable, None, &layer).await.is_err());
    assert_eq!((budget.taken(), budget.suppressed()), (1, 1));
    // A pushback that forbids retries counts as a failure: 1. Two successes: 2.
    assert!(call(9, Code::Internal, Some("-1"), &layer).await.is_err());
    for _ in 0..2 {
        call(0, Code::Ok, None, &layer).await.unwrap();
    }
    assert!(budget.hedge(Instant::now()).is_none());
    call(0, Code::Ok, None, &layer).await.unwrap();
    assert!(budget.hedge(Instant::now()).is_some());
}
