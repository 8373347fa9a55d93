//! Many connections to a board. Alone in its program, since it reads the memory of the process.

use std::{net::SocketAddr, time::Duration};

use plimsoll_core::{Class, Observe, Outcome};
use plimsoll_dashboard::Dashboard;
use plimsoll_metrics::Metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};

/// Sends a request on a connection of its own, and reads the whole answer.
async fn get(addr: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// The bytes that this process has in memory.
fn resident() -> i64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_connections_that_never_read_are_bounded_and_counted() {
    const CONNECTIONS: usize = 1000;
    let metrics = Metrics::new();
    for gate in 0..20 {
        let gate = metrics.gate(format!("gate {gate}"));
        gate.admitted("gate", Duration::ZERO);
        let latency = Duration::from_millis(3);
        gate.finished(
            "gate",
            &Outcome::new(Class::Success, latency, Instant::now()),
        );
    }
    let router = Dashboard::new(&metrics).router().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut sockets = Vec::new();
    let before = resident();
    for _ in 0..CONNECTIONS {
        let mut socket = TcpStream::connect(addr).await.unwrap();
        let request = b"GET /updates HTTP/1.1\r\nhost: ops\r\n\r\n";
        socket.write_all(request).await.unwrap();
        sockets.push(socket);
    }
    let cost = async {
        loop {
            let answer = get(addr, "/snapshot.json").await;
            let body = answer.split_once("\r\n\r\n").unwrap().1;
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            if json["cost"]["let_go"] == 980 {
                return json["cost"].clone();
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let cost = timeout(Duration::from_secs(60), cost).await.unwrap();
    assert_eq!(cost["viewers"], 20);
    sleep(Duration::from_secs(3)).await;
    let each = (resident() - before) / i64::try_from(CONNECTIONS).unwrap();
    assert!(each < 64 << 10, "{each} bytes for each connection");
    // The board is still there for a page that reads.
    let answer = get(addr, "/").await;
    assert!(answer.starts_with("HTTP/1.1 200"));
    drop(sockets);
}
