//! What is set on sockets, and what the kernel does.

use std::{net::SocketAddr, time::Duration};

use futures_util::StreamExt as _;
use plimsoll_stream::listener::{
    BackpressureListener, BackpressureListenerBuilder, SlowDisconnect, Unsent,
};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

use super::{at_rest, request, serve, until};

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_gauge_of_unsent_bytes_agrees_with_the_kernels_table() {
    let mut server = serve(|builder| builder.write_deadline(None)).await;
    let client = request(server.addr, "/flood").await;
    at_rest(&server.bytes).await;
    let connection = server.connections.recv().await.unwrap();
    assert_eq!(connection.peer_addr(), client.local_addr().ok());

    let one = connection.unsent().expect("the kernel answers");
    assert_eq!(one.connections, 1);
    assert!(one.unacknowledged > 0 && one.unsent <= one.unacknowledged);
    assert_eq!(
        one.unacknowledged,
        tx_queue(server.addr, client.local_addr().unwrap())
    );
    // What was read by the client's kernel is written, and not counted here.
    assert!(one.unacknowledged < connection.written());

    let all = server.handle.unsent().expect("the kernel answers");
    assert_eq!(all, one);
    let second = request(server.addr, "/ticks").await;
    until(|| {
        server
            .handle
            .unsent()
            .is_some_and(|all| all.connections == 2)
    })
    .await;

    drop((client, second));
    until(|| connection.unsent().is_none()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_that_is_dropped_while_blocked_leaves_nothing_in_the_kernel() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = BackpressureListener::new(tcp);
    let handle = listener.handle();
    let client = TcpStream::connect(addr).await.unwrap();
    let mut io = listener.incoming().next().await.unwrap().unwrap();
    let endless = async { while io.write_all(&[0; 4096]).await.is_ok() {} };
    assert!(timeout(Duration::from_millis(300), endless).await.is_err());
    assert!(handle.unsent().unwrap().unsent > 0);
    drop(io);
    until(|| handle.unsent() == Some(Unsent::default())).await;
    drop(client);
}

/// The send queue of a connection in `/proc/net/tcp`.
#[cfg(target_os = "linux")]
fn tx_queue(local: SocketAddr, remote: SocketAddr) -> u64 {
    let hex = |addr: SocketAddr| match addr {
        SocketAddr::V4(v4) => {
            format!(
                "{:08X}:{:04X}",
                u32::from_ne_bytes(v4.ip().octets()),
                v4.port()
            )
        }
        SocketAddr::V6(_) => unreachable!(),
    };
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ends = format!("{} {}", hex(local), hex(remote));
    let line = table
        .lines()
        .find(|line| line.contains(&ends))
        .expect("is listed");
    let queues = line
        .split_whitespace()
        .find(|field| field.len() == 17 && field.contains(':'));
    u64::from_str_radix(&queues.unwrap()[..8], 16).unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn options_are_set_on_accepted_sockets() {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = BackpressureListener::builder(tcp)
        .unsent_low_water(Some(8192))
        .user_timeout(Some(Duration::from_secs(7)))
        .keep_alive(Some(Duration::from_secs(9)))
        .build()
        .unwrap();
    let _client = TcpStream::connect(addr).await.unwrap();
    let io = listener.incoming().next().await.unwrap().unwrap();
    let socket = socket2::SockRef::from(io.get_ref());
    assert_eq!(socket.tcp_notsent_lowat().unwrap(), 8192);
    assert_eq!(
        socket.tcp_user_timeout().unwrap(),
        Some(Duration::from_secs(7))
    );
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(9));
    assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
}

/// A peer that vanishes without a word, in a network of its own.
#[cfg(target_os = "linux")]
#[test]
fn the_connection_of_a_vanished_peer_is_closed_by_the_kernel() {
    let isolated = |program: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--map-root-user", "--net", program]);
        command
    };
    if !isolated("true")
        .status()
        .is_ok_and(|status| status.success())
    {
        // Without namespaces there is no way to lose a peer on this machine.
        return;
    }
    let this = std::env::current_exe().unwrap();
    let output = isolated(this.to_str().unwrap())
        .args([
            "--exact",
            "listener::sockets::vanishing_peer",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}\n{errors}"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs a network of its own: `the_connection_of_a_vanished_peer_is_closed_by_the_kernel`"]
async fn vanishing_peer() {
    let loopback = |state: &str| {
        let ip = std::process::Command::new("ip")
            .args(["link", "set", "lo", state])
            .status();
        assert!(ip.unwrap().success());
    };
    loopback("up");
    let settings = |builder: BackpressureListenerBuilder<_>| {
        // The deadline is far, so the kernel finds out first.
        builder
            .user_timeout(Some(Duration::from_millis(1500)))
            .write_deadline(Some(Duration::from_secs(60)))
    };
    let mut server = serve(settings).await;
    let _client = request(server.addr, "/ticks").await;
    let _other = request(server.addr, "/flood").await;
    sleep(Duration::from_millis(300)).await;
    loopback("down");
    until(|| server.handle.open() == 0).await;
    assert_eq!(
        server.handle.slow_disconnects(SlowDisconnect::PeerTimeout),
        2
    );
    assert!(server.ended.recv().await.is_some());
}

/// What tonic's `serve_with_incoming` asks for.
#[cfg(feature = "tonic")]
#[tokio::test]
async fn the_incoming_connections_are_connected_for_tonic() {
    use tonic::transport::server::Connected as _;

    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let client = TcpStream::connect(addr).await.unwrap();
    let mut incoming = BackpressureListener::new(tcp).incoming();
    let info = incoming.next().await.unwrap().unwrap().connect_info();
    assert_eq!(info.remote_addr(), client.local_addr().ok());
}
