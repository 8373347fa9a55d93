//! The example as its users see it: by a socket, and in a browser.

mod browser;

use std::net::SocketAddr;

use sse_ticker::{Ticker, app, publish};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Starts the example on a free port.
async fn start() -> (Ticker, SocketAddr) {
    let ticker = Ticker::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let app = app(&ticker);
    tokio::spawn(publish(ticker.clone()));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (ticker, addr)
}

/// Sends a request, and reads until the text has been seen.
async fn read_until(addr: SocketAddr, request: &str, text: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let (mut all, mut buffer) = (String::new(), [0; 4096]);
    while !all.contains(text) {
        let n = socket.read(&mut buffer).await.unwrap();
        assert_ne!(n, 0, "{all}");
        all.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    all
}

#[tokio::test]
async fn the_page_the_stream_and_the_poll_endpoint_answer() {
    let (ticker, addr) = start().await;
    let page = read_until(addr, "GET /", "</html>").await;
    assert!(page.contains("content-type: text/html"));
    let stream = read_until(addr, "GET /prices", "\"price\"").await;
    assert!(stream.contains("content-type: text/event-stream"));
    assert!(stream.contains("event: open"));
    let after = ticker.prices.cursor();
    let poll = format!("GET /prices/poll?after={after}");
    let poll = read_until(addr, &poll, "retry: ").await;
    assert!(poll.contains("x-stream-cursor: "));
    assert_eq!(ticker.prices.counters().polls, 1);
}
