//! A minimal HTTP/2 client that can misuse the protocol.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{in_time, send};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types.
pub(crate) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

/// Flags: end of a request, end of its head, acknowledged ping.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// The error code of a server that detects an attack.
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header block of a `GET`.
pub(crate) fn get_block(path: &str) -> Vec<u8> {
    let (get, http, authority, literal_path) = (0x82, 0x86, 0x41, 0x44);
    let length = u8::try_from(path.len()).unwrap();
    let fields = [get, http, authority, 1, b'x', literal_path, length];
    [&fields, path.as_bytes()].concat()
}

/// A complete request.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &get_block(path))
}

/// The frame that cancels a stream.
pub(crate) fn reset(stream: u32) -> Vec<u8> {
    const CANCEL: u32 = 8;
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

/// An open connection.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) async fn open(addr: SocketAddr, host: u8) -> Self {
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        Self(send(addr, host, &hello).await)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        in_time(self.0.write_all(bytes)).await
    }

    /// Type, flags and payload of the next frame; `None` when the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut head = [0; 9];
        in_time(self.0.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        in_time(self.0.read_exact(&mut payload)).await.ok()?;
        Some((head[3], head[4], payload))
    }

    /// Waits until the server has read everything sent before.
    pub(crate) async fn ping(&mut self) {
        self.send(&frame(PING, 0, 0, &[0; 8])).await.unwrap();
        loop {
            let (kind, flags, _) = self.next().await.expect("it is open");
            if (kind, flags) == (PING, ACK) {
                return;
            }
        }
    }

    /// The error code of the server's `GOAWAY`; `None` when it closes without one.
    pub(crate) async fn goes_away(&mut self) -> Option<u32> {
        loop {
            let (kind, _, payload) = self.next().await?;
            if kind == GOAWAY {
                return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
    }
}
