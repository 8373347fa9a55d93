//! The greeter behind the whole stack, over real sockets, called by tonic's client.

use std::{net::SocketAddr, time::Duration};

use greeter::{
    Greeter, Handles, HelloRequest, Limits,
    proto::{greeter_client::GreeterClient, greeter_server::GreeterServer},
    stack,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Status,
    transport::{Channel, Server},
};
use tonic_types::StatusExt as _;

const ROOMY: Limits = Limits {
    reject_as_over_quota: 1000,
    at_a_time: 100,
    at_least: Duration::ZERO,
    failures: 100,
};

async fn serve(limits: Limits) -> (SocketAddr, Handles) {
    let (layer, handles) = stack(limits).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Server::builder()
        .layer(layer)
        .add_service(GreeterServer::new(Greeter));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    (addr, handles)
}

async fn client(addr: SocketAddr) -> GreeterClient<Channel> {
    GreeterClient::connect(format!("http://{addr}"))
        .await
        .unwrap()
}

fn hello(name: &str) -> Request<HelloRequest> {
    Request::new(HelloRequest {
        name: name.into(),
        count: 0,
    })
}

fn count(count: u32) -> Request<HelloRequest> {
    Request::new(HelloRequest {
        name: "n".into(),
        count,
    })
}

fn retry_delay(status: &Status) -> Option<Duration> {
    status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay)
}

/// Waits in real time, because of sockets. Each condition holds soon.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..5_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("not within five seconds: {what}");
}

#[tokio::test]
async fn calls_within_the_limits_are_answered() {
    let (addr, handles) = serve(ROOMY).await;
    let mut client = client(addr).await;
    let reply = client.say_hello(hello("Samuel")).await.unwrap();
    assert_eq!(reply.into_inner().message, "Hello Samuel!");
    let mut stream = client.count_to(count(3)).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(reply) = stream.message().await.unwrap() {
        seen.push(reply.message);
    }
    assert_eq!(seen, ["1", "2", "3"]);
    until("nothing is in flight", || {
        handles.concurrency.in_flight() == 0
    })
    .await;
}

#[tokio::test]
async fn a_caller_over_its_quota_gets_resource_exhausted_and_the_exact_wait() {
    let (addr, _) = serve(Limits {
        reject_as_over_quota: 2,
        ..ROOMY
    })
    .await;
    let mut client = client(addr).await;
    for _ in 0..2 {
        client.say_hello(hello("greedy")).await.unwrap();
    }
    let rejected = client.say_hello(hello("greedy")).await.unwrap_err();
    assert_eq!(
        (rejected.code(), rejected.message()),
        (Code::ResourceExhausted, "quota exceeded")
    );
    let delay = retry_delay(&rejected).expect("RetryInfo");
    assert!(
        delay > Duration::from_secs(20) && delay <= Duration::from_secs(30),
        "{delay:?}"
    );
    let pushback = rejected
        .metadata()
        .get("grpc-retry-pushback-ms")
        .unwrap()
        .to_str()
        .unwrap();
    assert_eq!(
        u128::from(pushback.parse::<u64>().unwrap()),
        delay.as_nanos().div_ceil(1_000_000)
    );
    assert_eq!(
        rejected.metadata().get("plimsoll-rejected-by").unwrap(),
        "rate-limit"
    );

    let mut other = hello("modest");
    other
        .metadata_mut()
        .insert("x-caller", "modest".parse().unwrap());
    client
        .say_hello(other)
        .await
        .expect("another caller has its own quota");
}

/// The clock is paused, so only `advance` moves time.
#[tokio::test(start_paused = true)]
async fn each_caller_gets_its_own_wait_to_the_millisecond() {
    let (addr, _) = serve(Limits {
        reject_as_over_quota: 7,
        ..ROOMY
    })
    .await;
    let mut client = client(addr).await;
    let from = |caller: &str| {
        let mut req = hello("Samuel");
        let caller = caller.parse().unwrap();
        req.metadata_mut().insert("x-caller", caller);
        req
    };
    // Seven per minute: one per 8.571428572 s, rounded up.
    let one = Duration::from_millis(8_572);
    for caller in ["ann", "bob"] {
        for _ in 0..7 {
            client.say_hello(from(caller)).await.unwrap();
        }
        let rejected = client.say_hello(from(caller)).await.unwrap_err();
        assert_eq!(rejected.code(), Code::ResourceExhausted);
        assert_eq!(retry_delay(&rejected), Some(one), "{caller}");
        let pushback = rejected.metadata().get("grpc-retry-pushback-ms").unwrap();
        assert_eq!(pushback, "8572", "rounded up");
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    // Four seconds after ann's rejection, and two after bob's.
    for (caller, gone) in [("ann", 4), ("bob", 2)] {
        let rejected = client.say_hello(from(caller)).await.unwrap_err();
        let left = one.checked_sub(Duration::from_secs(gone)).unwrap();
        assert_eq!(retry_delay(&rejected), Some(left), "{caller}");
    }
    client.say_hello(from("cid")).await.unwrap();

    let left = one.checked_sub(Duration::from_secs(4)).unwrap();
    tokio::time::advance(left).await;
    client.say_hello(from("ann")).await.unwrap();
    let early = client.say_hello(from("bob")).await.unwrap_err();
    assert_eq!(retry_delay(&early), Some(Duration::from_secs(2)));
}

#[tokio::test]
async fn a_full_server_is_unavailable_and_streams_hold_their_permits_until_the_trailers() {
    let (addr, handles) = serve(Limits {
        at_a_time: 1,
        ..ROOMY
    })
    .await;
    let mut client = client(addr).await;
    let mut stream = client.count_to(count(20)).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().message, "1");
    assert_eq!(
        handles.concurrency.in_flight(),
        1,
        "the head was sent, the stream has not ended"
    );

    let rejected = client.say_hello(hello("late")).await.unwrap_err();
    assert_eq!(rejected.code(), Code::Unavailable);
    assert!(retry_delay(&rejected).is_some(), "RetryInfo");
    assert_eq!(
        rejected.metadata().get("plimsoll-rejected-by").unwrap(),
        "concurrency"
    );

    while stream.message().await.unwrap().is_some() {
        assert_eq!(handles.concurrency.in_flight(), 1);
    }
    until("the trailers ended the call", || {
        handles.concurrency.in_flight() == 0
    })
    .await;
    client.say_hello(hello("again")).await.unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_releases_its_permit() {
    let (addr, handles) = serve(ROOMY).await;
    let mut client = client(addr).await;
    let mut stream = client.count_to(count(100_000)).await.unwrap().into_inner();
    stream.message().await.unwrap();
    assert_eq!(handles.concurrency.in_flight(), 1);
    drop(stream);
    until("the stream was reset", || {
        handles.concurrency.in_flight() == 0
    })
    .await;
}

#[tokio::test]
async fn failures_in_grpc_status_open_the_breaker() {
    let (addr, handles) = serve(Limits {
        failures: 3,
        ..ROOMY
    })
    .await;
    let mut client = client(addr).await;
    for _ in 0..3 {
        let failed = client.say_hello(hello("")).await.unwrap_err();
        assert_eq!(failed.code(), Code::Internal, "the HTTP status is 200");
    }
    until("the breaker is open", || {
        handles.breaker.state() != plimsoll::circuit_breaker::State::Closed
    })
    .await;
    let rejected = client.say_hello(hello("Samuel")).await.unwrap_err();
    assert_eq!(
        (rejected.code(), rejected.message()),
        (Code::Unavailable, "circuit open")
    );
    let delay = retry_delay(&rejected).expect("RetryInfo");
    assert!(
        delay > Duration::from_secs(20),
        "the time to the next probe: {delay:?}"
    );
}

#[tokio::test]
async fn a_deadline_that_cannot_be_met_is_rejected_before_the_call() {
    // Far from tonic's own timers, which would answer with CANCELLED.
    let (addr, _) = serve(Limits {
        at_least: Duration::from_secs(60),
        ..ROOMY
    })
    .await;
    let mut client = client(addr).await;
    let mut late = hello("Samuel");
    late.set_timeout(Duration::from_secs(30));
    let rejected = client.say_hello(late).await.unwrap_err();
    assert_eq!(rejected.code(), Code::DeadlineExceeded);
    assert_eq!(
        rejected.metadata().get("grpc-retry-pushback-ms").unwrap(),
        "-1"
    );
}

#[tokio::test]
async fn one_service_can_be_wrapped_and_added() {
    use plimsoll::{GateLayer, concurrency::ConcurrencyLimit};
    use tower_layer::Layer as _;
    let layer = GateLayer::new(ConcurrencyLimit::new(1).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let wrapped = layer.layer(GreeterServer::new(Greeter));
    let server = Server::builder().add_service(wrapped);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let mut client = client(addr).await;
    let _stream = client.count_to(count(1000)).await.unwrap();
    let rejected = client.say_hello(hello("late")).await.unwrap_err();
    assert_eq!(rejected.code(), Code::Unavailable);
}
