//! Clients that are slow.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It reads nothing.
    Never,
    /// It reads a few bytes at a time, with a pause after each read.
    Slow {
        /// Bytes at a time.
        bytes: usize,
        /// The pause between two reads.
        every: Duration,
    },
    /// It stops after this number of bytes.
    Stops(usize),
}

/// One client of each pace.
pub const PACES: [Pace; 3] = [
    Pace::Never,
    Pace::Slow {
        bytes: 1_000,
        every: Duration::from_millis(50),
    },
    Pace::Stops(100_000),
];

/// Connects with a receive buffer of 4 KiB, so that little is hidden on the client's side.
///
/// # Errors
///
/// The connection fails.
pub fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_recv_buffer_size(4 << 10)?;
    socket.connect(&addr.into())?;
    socket.set_nonblocking(true)?;
    TcpStream::from_std(socket.into())
}

/// Sends a request and reads the answer at this pace, until the connection is closed or reset.
///
/// # Errors
///
/// The connection fails before the request is sent.
pub async fn run(addr: SocketAddr, request: &str, pace: Pace) -> io::Result<()> {
    let mut socket = connect(addr)?;
    socket.write_all(request.as_bytes()).await?;
    match pace {
        Pace::Never => closed(&socket).await,
        Pace::Slow { bytes, every } => {
            let mut buffer = vec![0; bytes];
            while socket.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                sleep(every).await;
            }
        }
        Pace::Stops(bytes) => {
            let mut buffer = vec![0; bytes];
            _ = socket.read_exact(&mut buffer).await;
            closed(&socket).await;
        }
    }
    Ok(())
}

/// Waits for an error of the socket without reading from it.
async fn closed(socket: &TcpStream) {
    while socket.take_error().is_ok_and(|error| error.is_none()) {
        sleep(Duration::from_millis(50)).await;
    }
}
