//! Gates with tonic: interceptors on both sides, grpc-web, a guarded channel. All over real
//! sockets.

use std::net::SocketAddr;

use greeter::{
    Greeter, HelloRequest,
    proto::{greeter_client::GreeterClient, greeter_server::GreeterServer},
};
use stacks::{Answer, ask, client, gate};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Status,
    service::{InterceptorLayer, interceptor::InterceptedService},
    transport::{Channel, Server},
};
use tonic_web::{GrpcWebClientLayer, GrpcWebLayer};
use tower::{Layer as _, ServiceBuilder};

/// Serves a tonic router on a free port, and returns the address.
macro_rules! serve {
    ($router:expr) => {{
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn($router.serve_with_incoming(TcpListenerStream::new(listener)));
        address
    }};
}

/// Checks that the client's first call is answered and its second rejected.
macro_rules! check {
    ($client:expr) => {{
        let mut client = $client;
        let reply = client.say_hello(hello()).await.unwrap();
        assert_eq!(reply.into_inner().message, "Hello Samuel!");
        let status = client.say_hello(hello()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));
    }};
}

fn hello() -> Request<HelloRequest> {
    Request::new(HelloRequest {
        name: "Samuel".into(),
        count: 0,
    })
}

/// An interceptor that marks requests, as an interceptor that adds a token does.
#[allow(clippy::unnecessary_wraps)] // the signature is tonic's
fn mark(mut request: Request<()>) -> Result<Request<()>, Status> {
    request
        .metadata_mut()
        .insert("x-mark", "1".parse().unwrap());
    Ok(request)
}

async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

async fn greeter() -> Channel {
    channel(serve!(
        Server::builder().add_service(GreeterServer::new(Greeter))
    ))
    .await
}

#[tokio::test]
async fn a_server_behind_a_gate() {
    let mut server = Server::builder().layer(gate());
    let address = serve!(server.add_service(GreeterServer::new(Greeter)));
    check!(GreeterClient::new(channel(address).await));
}

#[tokio::test]
async fn one_service_behind_a_gate() {
    let service = gate().layer(GreeterServer::new(Greeter));
    let address = serve!(Server::builder().add_service(service));
    check!(GreeterClient::new(channel(address).await));
}

#[tokio::test]
async fn a_server_with_an_interceptor_behind_a_gate() {
    let service = gate().layer(GreeterServer::with_interceptor(Greeter, mark));
    let address = serve!(Server::builder().add_service(service));
    check!(GreeterClient::new(channel(address).await));
}

#[tokio::test]
async fn a_server_with_an_interceptor_before_a_gate() {
    let service = InterceptedService::new(gate().layer(GreeterServer::new(Greeter)), mark);
    let address = serve!(Server::builder().add_service(service));
    check!(GreeterClient::new(channel(address).await));
}

#[tokio::test]
async fn a_server_with_interceptors_as_layers() {
    let outside = ServiceBuilder::new()
        .layer(InterceptorLayer::new(mark))
        .layer(gate());
    let mut server = Server::builder().layer(outside);
    let address = serve!(server.add_service(GreeterServer::new(Greeter)));
    check!(GreeterClient::new(channel(address).await));

    let inside = ServiceBuilder::new()
        .layer(gate())
        .layer(InterceptorLayer::new(mark));
    let mut server = Server::builder().layer(inside);
    let address = serve!(server.add_service(GreeterServer::new(Greeter)));
    check!(GreeterClient::new(channel(address).await));
}

#[tokio::test]
async fn a_channel_behind_a_gate() {
    check!(GreeterClient::new(gate().layer(greeter().await)));
}

#[tokio::test]
async fn a_client_with_an_interceptor_before_a_gate() {
    check!(GreeterClient::with_interceptor(
        gate().layer(greeter().await),
        mark
    ));
}

#[tokio::test]
async fn a_client_with_an_interceptor_behind_a_gate() {
    let intercepted = InterceptedService::new(greeter().await, mark);
    check!(GreeterClient::new(gate().layer(intercepted)));
}

/// A call that the interceptor answers itself uses a permit only when the gate is outside.
#[tokio::test]
async fn an_interceptor_that_answers_itself() {
    fn deny(_: Request<()>) -> Result<Request<()>, Status> {
        Err(Status::unauthenticated("no token"))
    }
    let mut inside =
        GreeterClient::new(gate().layer(InterceptedService::new(greeter().await, deny)));
    for code in [Code::Unauthenticated, Code::ResourceExhausted] {
        assert_eq!(inside.say_hello(hello()).await.unwrap_err().code(), code);
    }
    let mut outside = GreeterClient::with_interceptor(gate().layer(greeter().await), deny);
    for code in [Code::Unauthenticated, Code::Unauthenticated] {
        assert_eq!(outside.say_hello(hello()).await.unwrap_err().code(), code);
    }
}

/// A unary call in the format of a browser.
async fn from_a_browser(address: SocketAddr) -> Answer {
    let url = format!("http://{address}/greeter.Greeter/SayHello");
    // A frame of 8 bytes: field 1, six bytes of text.
    let frame = b"\0\0\0\0\x08\x0a\x06Samuel".as_slice();
    let request = client()
        .post(url)
        .header("content-type", "application/grpc-web+proto");
    ask(request.header("x-grpc-web", "1").body(frame)).await
}

/// Both responses are HTTP 200. The first ends with a frame of trailers; the second has only the
/// status, in the head.
async fn check_browser(address: SocketAddr) {
    let admitted = from_a_browser(address).await;
    assert_eq!(admitted.status, 200);
    let text = String::from_utf8_lossy(&admitted.body).into_owned();
    assert!(text.contains("Hello Samuel!"), "{text:?}");
    assert!(text.contains("grpc-status:0"), "{text:?}");
    let rejected = from_a_browser(address).await;
    assert_eq!(rejected.status, 200);
    let text = String::from_utf8_lossy(&rejected.body).into_owned();
    let in_head = rejected
        .headers
        .get("grpc-status")
        .is_some_and(|status| status == "8");
    assert!(in_head || text.contains("grpc-status:8"), "{rejected:?}");
}

#[tokio::test]
async fn grpc_web_before_a_gate() {
    let layers = ServiceBuilder::new()
        .layer(GrpcWebLayer::new())
        .layer(gate());
    let mut server = Server::builder().accept_http1(true).layer(layers);
    check_browser(serve!(server.add_service(GreeterServer::new(Greeter)))).await;
}

#[tokio::test]
async fn grpc_web_behind_a_gate() {
    let layers = ServiceBuilder::new()
        .layer(gate())
        .layer(GrpcWebLayer::new());
    let mut server = Server::builder().accept_http1(true).layer(layers);
    check_browser(serve!(server.add_service(GreeterServer::new(Greeter)))).await;
}

#[tokio::test]
async fn a_grpc_web_client_with_a_gate() {
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    let mut server = Server::builder()
        .accept_http1(true)
        .layer(GrpcWebLayer::new());
    let address = serve!(server.add_service(GreeterServer::new(Greeter)));
    let origin: http::Uri = format!("http://{address}").parse().unwrap();

    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let outside = ServiceBuilder::new()
        .layer(GrpcWebClientLayer::new())
        .layer(gate())
        .service(hyper);
    check!(GreeterClient::with_origin(outside, origin.clone()));

    let hyper = Client::builder(TokioExecutor::new()).build_http();
    let inside = ServiceBuilder::new()
        .layer(gate())
        .layer(GrpcWebClientLayer::new())
        .service(hyper);
    check!(GreeterClient::with_origin(inside, origin));
}
