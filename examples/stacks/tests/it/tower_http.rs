//! Each layer of tower-http, outside and inside of a gate, under hyper and under axum, over real
//! sockets.
//!
//! Outside of the gate, a layer also handles rejections: they are compressed, traced and carry its
//! headers. Inside, it handles only admitted requests, so a rejected request costs nothing there.

#![allow(
    deprecated,
    reason = "`bearer` is in use, although tower-http recommends a custom validator"
)]

use std::time::Duration;

use ::tower_http::{
    ServiceBuilderExt as _,
    add_extension::AddExtensionLayer,
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, predicate::SizeAbove},
    cors::CorsLayer,
    csrf::CsrfLayer,
    decompression::{DecompressionLayer, RequestDecompressionLayer},
    limit::RequestBodyLimitLayer,
    map_request_body::MapRequestBodyLayer,
    map_response_body::MapResponseBodyLayer,
    metrics::InFlightRequestsLayer,
    normalize_path::NormalizePathLayer,
    on_early_drop::{EarlyDropsAsFailures, OnEarlyDropLayer},
    propagate_header::PropagateHeaderLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::{
        SetSensitiveHeadersLayer, SetSensitiveRequestHeadersLayer, SetSensitiveResponseHeadersLayer,
    },
    set_header::{SetRequestHeaderLayer, SetResponseHeaderLayer},
    set_status::SetStatusLayer,
    timeout::{
        RequestBodyDeadlineLayer, RequestBodyTimeoutLayer, ResponseBodyDeadlineLayer,
        ResponseBodyTimeoutLayer, TimeoutLayer,
    },
    trace::{DefaultOnFailure, TraceLayer},
    validate_request::ValidateRequestHeaderLayer,
};
use axum::{Router, body::Body, routing::post_service};
use http::{HeaderName, HeaderValue, StatusCode, header::AUTHORIZATION};
use stacks::{Answer, Echo, ask, check, client, gate, post, serve};
use tower::ServiceBuilder;

const MINUTE: Duration = Duration::from_mins(1);
const MARK: HeaderName = HeaderName::from_static("x-mark");

fn value() -> HeaderValue {
    HeaderValue::from_static("1")
}

/// Builds four stacks with the layer. After `=>`: a response header that shows the layer's effect.
macro_rules! stacks {
    ($($name:ident: $layer:expr $(=> $mark:literal)?;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn outside_of_a_gate() {
                let answers = check(ServiceBuilder::new().layer($layer).layer(gate()).service(Echo)).await;
                $(assert_eq!(marked(&answers, $mark), [true, true]);)?
                _ = answers;
            }

            #[tokio::test]
            async fn inside_of_a_gate() {
                let answers = check(ServiceBuilder::new().layer(gate()).layer($layer).service(Echo)).await;
                $(assert_eq!(marked(&answers, $mark), [true, false]);)?
                _ = answers;
            }

            #[tokio::test]
            async fn outside_of_a_gate_of_a_router() {
                let stack = ServiceBuilder::new().layer($layer).layer(gate());
                let answers = check(app().layer(stack)).await;
                $(assert_eq!(marked(&answers, $mark), [true, true]);)?
                _ = answers;
            }

            #[tokio::test]
            async fn inside_of_a_gate_of_a_router() {
                let stack = ServiceBuilder::new().layer(gate()).layer($layer);
                let answers = check(app().layer(stack)).await;
                $(assert_eq!(marked(&answers, $mark), [true, false]);)?
                _ = answers;
            }
        }
    )*};
}

fn app() -> Router {
    Router::new().route("/", post_service(Echo))
}

/// Which responses carry the header.
fn marked(answers: &[Answer; 2], header: &str) -> [bool; 2] {
    answers
        .each_ref()
        .map(|answer| answer.headers.contains_key(header))
}

stacks! {
    add_extension: AddExtensionLayer::new("shared");
    catch_panic: CatchPanicLayer::new();
    compression: CompressionLayer::new().compress_when(SizeAbove::new(0)) => "content-encoding";
    cors: CorsLayer::permissive() => "access-control-allow-origin";
    csrf: CsrfLayer::new();
    decompression: DecompressionLayer::new();
    early_drop: OnEarlyDropLayer::new(EarlyDropsAsFailures::new(DefaultOnFailure::default()));
    in_flight: InFlightRequestsLayer::pair().0;
    map_request_body: MapRequestBodyLayer::new(Body::new);
    map_response_body: MapResponseBodyLayer::new(Body::new);
    normalize_path: NormalizePathLayer::trim_trailing_slash();
    propagate_header: PropagateHeaderLayer::new(HeaderName::from_static("x-trace")) => "x-trace";
    request_body_deadline: RequestBodyDeadlineLayer::new(MINUTE);
    request_body_limit: RequestBodyLimitLayer::new(100);
    request_body_timeout: RequestBodyTimeoutLayer::new(MINUTE);
    request_decompression: RequestDecompressionLayer::new();
    request_id: (
        SetRequestIdLayer::x_request_id(MakeRequestUuid),
        PropagateRequestIdLayer::x_request_id(),
    ) => "x-request-id";
    response_body_deadline: ResponseBodyDeadlineLayer::new(MINUTE);
    response_body_timeout: ResponseBodyTimeoutLayer::new(MINUTE);
    sensitive_headers: SetSensitiveHeadersLayer::new([AUTHORIZATION]);
    sensitive_request_headers: SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]);
    sensitive_response_headers: SetSensitiveResponseHeadersLayer::new([AUTHORIZATION]);
    set_request_header: SetRequestHeaderLayer::overriding(MARK, value());
    set_response_header: SetResponseHeaderLayer::overriding(MARK, value()) => "x-mark";
    timeout: TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, MINUTE);
    trace: TraceLayer::new_for_http();
    trace_for_grpc: TraceLayer::new_for_grpc();
    validate_accept: ValidateRequestHeaderLayer::accept("text/plain");
    validate_bearer: ValidateRequestHeaderLayer::bearer("secret");
}

/// Outside of a gate, a status that is set hides the gate's status; inside, it changes admitted
/// responses only.
#[tokio::test]
async fn set_status() {
    let status = || SetStatusLayer::new(StatusCode::ACCEPTED);
    let outside = ServiceBuilder::new()
        .layer(status())
        .layer(gate())
        .service(Echo);
    let address = serve(outside).await;
    assert_eq!(post(address, "hello").await.status, 202);
    let rejected = post(address, "hello").await;
    assert_eq!(rejected.status, 202);
    assert_eq!(rejected.headers["plimsoll-rejected-by"], "rate-limit");

    let inside = ServiceBuilder::new()
        .layer(gate())
        .layer(status())
        .service(Echo);
    let address = serve(inside).await;
    assert_eq!(post(address, "hello").await.status, 202);
    assert_eq!(post(address, "hello").await.status, 429);
}

/// With CORS outside, a preflight is answered before the gate.
#[tokio::test]
async fn a_preflight_spends_nothing() {
    let address = serve(
        ServiceBuilder::new()
            .layer(CorsLayer::permissive())
            .layer(gate())
            .service(Echo),
    )
    .await;
    let preflight = client()
        .request(http::Method::OPTIONS, format!("http://{address}/"))
        .header("origin", "http://other.example")
        .header("access-control-request-method", "POST");
    for _ in 0..3 {
        let answer = ask(preflight.try_clone().unwrap()).await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers.contains_key("access-control-allow-methods"));
    }
    assert_eq!(post(address, "hello").await.status, 200);
    assert_eq!(post(address, "hello").await.status, 429);
}

/// tower-http's short forms on `ServiceBuilder`, all at once.
#[tokio::test]
async fn the_short_forms_of_service_builder() {
    let stack = ServiceBuilder::new()
        .set_x_request_id(MakeRequestUuid)
        .sensitive_request_headers([AUTHORIZATION].into())
        .trace_for_http()
        .propagate_x_request_id()
        .compression()
        .catch_panic()
        .layer(gate())
        .trim_trailing_slash()
        .service(Echo);
    let answers = check(stack).await;
    assert_eq!(marked(&answers, "x-request-id"), [true, true]);
}
