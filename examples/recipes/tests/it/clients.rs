//! Clients behind a gate, gRPC, plain services and Redis.

use std::{net::TcpListener, process::Stdio, time::Duration};

use greeter::{HelloRequest, proto::greeter_client::GreeterClient};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};
use tonic::{Code, Request};

use crate::program::Program;

#[tokio::test]
async fn breaker_reqwest() {
    let program = Program::start("breaker_reqwest").await;
    program.get("/circuit").await.is(200, "closed");
    for _ in 0..5 {
        program.get("/").await.is(502, "");
    }
    program.get("/circuit").await.is(200, "open");
    let rejected = program.get("/").await;
    rejected.is(503, "the circuit is open");
    let wait: u64 = rejected.header("retry-after").parse().unwrap();
    // Ten seconds, and half of it as jitter at most.
    assert!((1..=15).contains(&wait), "{wait}");

    let url = format!("http://{}/circuit", program.address);
    let other = Program::start_with("breaker_reqwest", [("UPSTREAM", &url)]).await;
    other.get("/").await.is(200, "the dependency answered");
}

#[tokio::test]
async fn breaker_hyper() {
    let program = Program::start("breaker_hyper").await;
    for _ in 0..5 {
        let failed = program.get("/broken").await;
        failed.is(500, "");
    }
    let rejected = program.get("/broken").await;
    rejected.is_rejected(503, "circuit-breaker");
    for _ in 0..6 {
        assert_eq!(program.get("/healthy").await.status, 200);
    }
}

#[tokio::test]
async fn tonic_server() {
    let program = Program::start("tonic_server").await;
    let url = format!("http://{}", program.address);
    let mut client = GreeterClient::connect(url).await.unwrap();
    let hello = || {
        Request::new(HelloRequest {
            name: "Ann".into(),
            count: 0,
        })
    };
    for _ in 0..2 {
        let reply = client.say_hello(hello()).await.unwrap();
        assert_eq!(reply.into_inner().message, "Hello Ann!");
    }
    let status = client.say_hello(hello()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let pushback = status.metadata().get("grpc-retry-pushback-ms");
    let pushback: u32 = pushback.unwrap().to_str().unwrap().parse().unwrap();
    assert!((1..=10_000).contains(&pushback), "{pushback}");
}

#[tokio::test]
async fn tonic_client() {
    let program = Program::start("tonic_client").await;
    program.get("/hello/Ann").await.is(200, "Hello Ann!");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(program.get("/fail").await.status.as_u16());
    }
    // The first call succeeded: the circuit opens when four of five have failed.
    assert_eq!(statuses, [502, 502, 502, 502, 503, 503]);
    assert_eq!(program.get("/hello/Ann").await.status, 503);
}

#[tokio::test]
async fn plain_tower() {
    let program = Program::start("plain_tower").await;
    let mut socket = TcpStream::connect(&program.address).await.unwrap();
    socket.write_all(b"hello\nyou\nthere\n").await.unwrap();
    let mut lines = BufReader::new(socket).lines();
    for expected in ["HELLO", "YOU", "busy, retry in 10 s"] {
        assert_eq!(lines.next_line().await.unwrap().unwrap(), expected);
    }
}

/// A Redis server on a free port.
async fn redis(folder: &std::path::Path) -> (Child, String) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = port.local_addr().unwrap().port();
    let server = Command::new("redis-server")
        .current_dir(folder)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("this test starts redis-server: apt-get install redis-server");
    for _ in 0..500 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return (server, format!("redis://127.0.0.1:{port}"));
        }
        sleep(Duration::from_millis(10)).await; // a process starts in real time
    }
    panic!("redis-server does not listen after five seconds");
}

#[tokio::test]
async fn redis_fleet() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, url) = redis(folder.path()).await;
    let one = Program::start_with("redis_fleet", [("REDIS_URL", &url)]).await;
    let two = Program::start_with("redis_fleet", [("REDIS_URL", &url)]).await;
    for replica in [&one, &two] {
        replica.get("/redis").await.is(200, "connected");
    }
    for replica in [&one, &two, &one] {
        let answer = replica.get_with("/", "x-api-key", "ann").await;
        answer.is(200, "hello");
    }
    for replica in [&one, &two] {
        let rejected = replica.get_with("/", "x-api-key", "ann").await;
        assert_eq!(rejected.status, 429, "{rejected:?}");
        assert!(rejected.header("ratelimit-policy").contains("per-key"));
    }
    two.get_with("/", "x-api-key", "bob").await.is(200, "hello");
}
