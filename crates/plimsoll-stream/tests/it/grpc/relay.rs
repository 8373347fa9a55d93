//! A connection that a test can silence or cut.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwards one connection.
pub(crate) struct Relay {
    pub(crate) addr: SocketAddr,
    silent: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (silent, is_silent) = watch::channel(false);
        let task = tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::join!(
                forward(from_client, to_server, is_silent.clone()),
                forward(from_server, to_client, is_silent),
            );
        });
        Self { addr, silent, task }
    }

    /// From now on nothing arrives, and both sides see an open connection.
    pub(crate) fn silence(&self) {
        self.silent.send_replace(true);
    }

    /// Closes both connections.
    pub(crate) fn cut(self) {
        self.task.abort();
    }
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    is_silent: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        if !*is_silent.borrow() && to.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
    // The end of a silent connection is not seen either.
    if *is_silent.borrow() {
        let never: std::convert::Infallible = std::future::pending().await;
        match never {}
    }
    _ = to.shutdown().await;
}
