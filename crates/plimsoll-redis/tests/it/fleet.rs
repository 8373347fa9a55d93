//! Three replicas of an app, each with its own limit, over real sockets.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use plimsoll_core::{GateLayer, HeaderKey, Missing};
use plimsoll_rate_limit::Quota;
use plimsoll_redis::RedisHandle;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{LONG, builder, server::Server};

async fn replica(server: &Server, quota: Quota) -> (SocketAddr, RedisHandle) {
    let limit = builder(server)
        .quota(quota)
        .per_key(HeaderKey::from_static("x-api-key"), Missing::Share, 10_000)
        .connect()
        .expect("valid");
    let handle = limit.handle();
    handle.wait_connected().await;
    let app = Router::new()
        .route("/", get(async || "hello"))
        .layer(GateLayer::new(limit));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, app).await });
    (addr, handle)
}

/// The status of one request, on a new connection.
async fn status(addr: SocketAddr, key: &str) -> u16 {
    let mut stream = TcpStream::connect(addr).await.expect("it listens");
    let request =
        format!("GET / HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\nconnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    answer[9..12].parse().expect("a status")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_admit_exactly_the_limit() {
    let server = Server::start();
    for quota in [
        Quota::new(50, LONG),
        Quota::new(50, LONG).sliding_window(),
        Quota::new(50, LONG).fixed_window(),
    ] {
        let mut replicas = Vec::new();
        for _ in 0..3 {
            replicas.push(replica(&server, quota).await);
        }
        let mut callers = JoinSet::new();
        for key in ["ann", "bob"] {
            for (addr, _) in replicas.iter().cycle().take(120) {
                let addr = *addr;
                callers.spawn(async move { (key, status(addr, key).await) });
            }
        }
        let statuses = callers.join_all().await;
        for key in ["ann", "bob"] {
            let count = |status| statuses.iter().filter(|got| **got == (key, status)).count();
            assert_eq!((count(200), count(429)), (50, 70), "{quota:?}, {key}");
        }
        for (_, handle) in &replicas {
            assert!(
                handle.admitted() + handle.rejected() == 80,
                "all were asked"
            );
            assert_eq!(handle.local(), 0);
        }
    }
}
