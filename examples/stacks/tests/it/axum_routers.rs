//! Gates at every place where a router accepts a layer, over real sockets.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Router,
    error_handling::HandleErrorLayer,
    extract::{Request, State},
    handler::Handler as _,
    middleware::{Next, from_fn},
    response::Response,
    routing::{MethodRouter, any, any_service, post},
};
use http::StatusCode;
use plimsoll::{
    ClientIp, GateLayer, Missing,
    concurrency::ConcurrencyLimit,
    rate_limit::{Quota, RateLimit},
};
use stacks::{Answer, Echo, ask, check, client, gate, one, serve};
use tower::{Layer as _, ServiceBuilder, util::BoxCloneSyncServiceLayer};

async fn echo(body: String) -> String {
    body
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(client().get(format!("http://{address}{path}"))).await
}

/// The statuses of two requests for the path.
async fn twice(address: SocketAddr, path: &str) -> [u16; 2] {
    let first = get(address, path).await.status.as_u16();
    [first, get(address, path).await.status.as_u16()]
}

#[tokio::test]
async fn a_router_with_state() {
    async fn handler(State(word): State<&'static str>, body: String) -> String {
        assert_eq!(word, "state");
        body
    }
    check(
        Router::new()
            .route("/", any(handler))
            .layer(gate())
            .with_state("state"),
    )
    .await;
    check(
        Router::new()
            .route("/", any(handler))
            .with_state("state")
            .layer(gate()),
    )
    .await;
}

#[tokio::test]
async fn a_gate_on_a_nested_router_does_not_apply_to_its_parent() {
    let inner = Router::new().route("/ad", any(echo)).layer(gate());
    let app = Router::new().route("/", any(echo)).nest("/api", inner);
    let address = serve(app).await;
    assert_eq!(twice(address, "/api/ad").await, [200, 429]);
    assert_eq!(twice(address, "/").await, [200, 200]);
}

#[tokio::test]
async fn a_nested_service() {
    let address = serve(Router::new().nest_service("/api", gate().layer(Echo))).await;
    assert_eq!(twice(address, "/api/ad").await, [200, 429]);
}

#[tokio::test]
async fn merged_routers_keep_their_gates() {
    let layer = gate();
    let one = Router::new().route("/one", any(echo)).layer(layer.clone());
    let same = Router::new().route("/same", any(echo)).layer(layer);
    let other = Router::new().route("/other", any(echo)).layer(gate());
    let address = serve(one.merge(same).merge(other)).await;
    assert_eq!(get(address, "/one").await.status, 200);
    assert_eq!(
        get(address, "/same").await.status,
        429,
        "the layer is shared"
    );
    assert_eq!(get(address, "/other").await.status, 200);
}

#[tokio::test]
async fn a_route_layer_does_not_apply_to_unknown_paths() {
    let address = serve(Router::new().route("/", any(echo)).route_layer(gate())).await;
    assert_eq!(twice(address, "/unknown").await, [404, 404]);
    assert_eq!(twice(address, "/").await, [200, 429]);
}

#[tokio::test]
async fn a_layer_of_the_router_counts_unknown_paths() {
    let address = serve(Router::new().route("/", any(echo)).layer(gate())).await;
    assert_eq!(twice(address, "/unknown").await, [404, 429]);
}

#[tokio::test]
async fn a_fallback_service() {
    let app = Router::new()
        .route("/", any(echo))
        .fallback_service(gate().layer(Echo));
    let address = serve(app).await;
    assert_eq!(twice(address, "/unknown").await, [200, 429]);
    assert_eq!(twice(address, "/").await, [200, 200]);
}

#[tokio::test]
async fn a_route_service() {
    check(Router::new().route_service("/", gate().layer(Echo))).await;
    check(Router::new().route("/", any_service(gate().layer(Echo)))).await;
}

#[tokio::test]
async fn a_handler_with_its_own_layer() {
    check(Router::new().route("/", any(echo.layer(gate())))).await;
}

#[tokio::test]
async fn a_method_router_with_one_gate() {
    check(Router::new().route("/", any(echo).layer(gate()))).await;
    check(Router::new().route("/", post(echo).route_layer(gate()))).await;
}

fn wide() -> GateLayer<ConcurrencyLimit> {
    GateLayer::new(ConcurrencyLimit::new(64).unwrap())
}

/// Two `.layer(..)` calls in a row do not compile on a `MethodRouter` (E0283): the error type of
/// the first layer cannot be inferred. Each of these three ways names it.
#[tokio::test]
async fn a_method_router_with_two_policies() {
    let fused = GateLayer::new((one(), ConcurrencyLimit::new(64).unwrap()));
    check(Router::new().route("/", any(echo).layer(fused))).await;

    let stacked = ServiceBuilder::new().layer(gate()).layer(wide());
    check(Router::new().route("/", any(echo).layer(stacked))).await;

    let named: MethodRouter = any(echo).layer::<_, Infallible>(wide()).layer(gate());
    check(Router::new().route("/", named)).await;
}

#[tokio::test]
async fn two_gates_on_a_router() {
    check(
        Router::new()
            .route("/", any(echo))
            .layer(wide())
            .layer(gate()),
    )
    .await;
    check(
        Router::new()
            .route("/", any(echo))
            .layer(gate())
            .layer(wide()),
    )
    .await;
}

#[tokio::test]
async fn middleware_functions_outside_and_inside() {
    async fn mark(request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        response.headers_mut().insert("x-mark", 1.into());
        response
    }
    let app = || Router::new().route("/", any(echo));
    let outside = check(app().layer(gate()).layer(from_fn(mark))).await;
    assert!(
        outside
            .iter()
            .all(|answer| answer.headers.contains_key("x-mark"))
    );
    let inside = check(app().layer(ServiceBuilder::new().layer(gate()).layer(from_fn(mark)))).await;
    let marked = inside
        .each_ref()
        .map(|answer| answer.headers.contains_key("x-mark"));
    assert_eq!(marked, [true, false]);
}

#[tokio::test]
async fn a_timeout_whose_error_is_handled() {
    let timeout = || {
        ServiceBuilder::new()
            .layer(HandleErrorLayer::new(async |_| StatusCode::REQUEST_TIMEOUT))
            .timeout(Duration::from_mins(1))
    };
    let app = || Router::new().route("/", any(echo));
    check(app().layer(timeout().layer(gate()))).await;
    check(app().layer(ServiceBuilder::new().layer(gate()).layer(timeout()))).await;
}

#[tokio::test]
async fn boxed_layers() {
    let boxed = BoxCloneSyncServiceLayer::new(
        ServiceBuilder::new()
            .map_response(axum::response::IntoResponse::into_response)
            .layer(gate()),
    );
    check(Router::new().route("/", any(echo)).layer(boxed)).await;
}

#[tokio::test]
async fn each_peer_has_its_own_limit() {
    let quota = Quota::per_hour(1).burst(1);
    let per_peer = RateLimit::new(quota)
        .unwrap()
        .per_key(ClientIp::peer(), Missing::Share, 1_000)
        .unwrap();
    let app = Router::new()
        .route("/", any(echo))
        .layer(GateLayer::new(per_peer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    assert_eq!(twice(address, "/").await, [200, 429]);
    let elsewhere = std::net::IpAddr::from([127, 0, 0, 2]);
    let other = reqwest::Client::builder()
        .no_proxy()
        .local_address(elsewhere)
        .build()
        .unwrap();
    assert_eq!(
        ask(other.get(format!("http://{address}/"))).await.status,
        200
    );
}
