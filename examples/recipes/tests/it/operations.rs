//! Changes at run time, metrics, health, policies and sockets.

use std::fs;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::program::{Program, failed, send};

#[tokio::test]
async fn live_retuning() {
    let mut program = Program::start("live_retuning").await;
    let put = |path: &str| send(program.request("PUT", path));
    put("/admin/quota/5").await.is(200, "5 per second\n");
    let mut answered = 0;
    for _ in 0..50 {
        answered += u32::from(program.get("/").await.status == 200);
    }
    assert!((5..50).contains(&answered), "{answered}");

    let invalid = put("/admin/quota/0").await;
    assert_eq!(invalid.status, 400);
    assert!(invalid.body.contains('0'), "{invalid:?}");
    put("/admin/quota/6").await.is(200, "6 per second\n");

    put("/admin/pin/20").await.is(200, "limit 20, pinned\n");
    let bounds = put("/admin/bounds/30/50").await;
    bounds.is(200, "limit 20 within 30 to 50\n");
    let unpinned = send(program.request("DELETE", "/admin/pin")).await;
    unpinned.is(200, "limit 30, measured\n");
    assert_eq!(put("/admin/bounds/9/1").await.status, 400);
    // The limit may have moved by itself before.
    while !program.line().await.ends_with("-> 20 (pinned)") {}
    assert_eq!(program.line().await, "limit 20 -> 30 (set)");
}

#[tokio::test]
async fn shadow_mode() {
    let mut program = Program::start("shadow_mode").await;
    for _ in 0..3 {
        program.get("/").await.is(200, "hello");
    }
    let shown = program.get("/admin/shadow").await;
    shown.is(
        200,
        "would admit 2, would reject 1\nover quota: 1\nclient 127.0.0.1: 1\n",
    );
    let line = program.line().await;
    assert_eq!(line, "client 127.0.0.1 rejected by rate-limit: over-quota");
    let enforce = |on| send(program.request("PUT", on));
    assert_eq!(enforce("/admin/enforce/true").await.status, 200);
    program.get("/").await.is_rejected(429, "rate-limit");
    assert_eq!(enforce("/admin/enforce/false").await.status, 200);
    program.get("/").await.is(200, "hello");
}

#[tokio::test]
async fn from_config() {
    let program = Program::start("from_config").await;
    for _ in 0..2 {
        let answer = program.get("/").await;
        answer.is(200, "hello");
        assert_eq!(
            answer.header("ratelimit-policy"),
            r#""per-client";q=60;w=60"#
        );
    }
    program.get("/").await.is_rejected(429, "rate-limit");
}

#[tokio::test]
async fn from_config_reads_a_file_and_names_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("limits.toml");
    let file = path.to_str().expect("a path in UTF-8");
    let write = |clients: &str, limit: &str| {
        let text = format!(
            "clients = {{ quota = \"{clients}\", keys = 1000 }}\n\
             service = {{ quota = \"1000/s\" }}\n\
             concurrency = {{ limit = {limit} }}\n"
        );
        fs::write(&path, text).expect("a file");
    };
    write("3/h fixed-window named hourly", "64");
    let program = Program::start_with("from_config", [("CONFIG", file)]).await;
    for _ in 0..3 {
        let answer = program.get("/").await;
        answer.is(200, "hello");
        assert_eq!(answer.header("ratelimit-policy"), r#""hourly";q=3;w=3600"#);
    }
    program.get("/").await.is_rejected(429, "rate-limit");

    for (clients, limit, expected) in [
        ("0/h", "64", "count must be at least 1 request, got 0"),
        ("3/h", "0", "limit must be in 1..=2^30, got 0"),
        ("3/fortnight", "64", "calendar-week, got \"fortnight\""),
    ] {
        write(clients, limit);
        let output = failed("from_config", [("CONFIG", file)]).await;
        assert!(output.contains(expected), "{output}");
    }
}

#[tokio::test]
async fn metrics_endpoint() {
    let program = Program::start("metrics_endpoint").await;
    for expected in [200, 200, 429] {
        assert_eq!(program.get("/").await.status, expected);
    }
    let metrics = program.get("/metrics").await;
    for line in [
        r#"plimsoll_admitted_total{gate="edge"} 2"#,
        r#"plimsoll_rejected_total{gate="edge",policy="rate-limit",kind="over-quota"} 1"#,
        "service_slots 64",
    ] {
        let there = metrics.body.lines().any(|other| other.starts_with(line));
        assert!(there, "{line} is not in\n{}", metrics.body);
    }
}

#[tokio::test]
async fn health_load() {
    let program = Program::start("health_load").await;
    let idle = program.get("/health/load").await;
    assert_eq!(idle.status, 200, "{idle:?}");
    let slow = || tokio::spawn(send(program.request("GET", "/slow")));
    let slow = [slow(), slow(), slow()];
    loop {
        let busy = program.get("/health/load").await;
        if busy.status == 503 {
            assert!(busy.body.contains(r#""load":1.5"#), "{busy:?}");
            break;
        }
        let none = slow.iter().all(|request| !request.is_finished());
        assert!(none, "the load was never above the limit: {busy:?}");
    }
    program.get("/healthz").await.is(200, "ok");
}

#[tokio::test]
async fn custom_policy() {
    let program = Program::start("custom_policy").await;
    let post = |length| send(program.request("POST", "/").body("x".repeat(length)));
    for _ in 0..3 {
        post(600).await.is(200, "600 bytes");
    }
    let rejected = post(2_000).await;
    rejected.is_rejected(503, "byte-budget");
    assert!(!rejected.header("retry-after").is_empty());
    post(1_000).await.is(200, "1000 bytes");
}

#[tokio::test]
async fn websocket() {
    let program = Program::start("websocket").await;
    let open = async || {
        let mut socket = TcpStream::connect(&program.address).await.unwrap();
        let request = "GET /echo HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n\
            upgrade: websocket\r\nsec-websocket-version: 13\r\n\
            sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        socket.read_exact(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head).into_owned();
        (socket, head)
    };
    let (one, head) = open().await;
    assert_eq!(head, "HTTP/1.1 101");
    let (two, head) = open().await;
    assert_eq!(head, "HTTP/1.1 101");
    program.get("/sockets").await.is(200, "2");
    assert_eq!(open().await.1, "HTTP/1.1 503");
    drop((one, two));
    for _ in 0..500 {
        if program.get("/sockets").await.body == "0" {
            assert_eq!(open().await.1, "HTTP/1.1 101");
            return;
        }
    }
    panic!("closed sockets still hold slots");
}
