//! A client of server-sent events over HTTP/1.1.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A client that reads as fast as it can.
#[derive(Debug)]
pub struct Events {
    socket: TcpStream,
    /// What was read and is not yet a complete chunk.
    rest: Vec<u8>,
    in_body: bool,
    has_ended: bool,
    /// What is not yet a complete event.
    text: String,
    /// Bytes of the body so far.
    pub bytes: usize,
}

impl Events {
    /// Connects, and sends the request.
    ///
    /// # Errors
    ///
    /// The connection fails.
    pub async fn connect(addr: SocketAddr, path: &str, last_id: &str) -> io::Result<Self> {
        let mut socket = TcpStream::connect(addr).await?;
        let id = match last_id {
            "" => String::new(),
            id => format!("last-event-id: {id}\r\n"),
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{id}\r\n");
        socket.write_all(request.as_bytes()).await?;
        Ok(Self {
            socket,
            rest: Vec::new(),
            in_body: false,
            has_ended: false,
            text: String::new(),
            bytes: 0,
        })
    }

    /// The lines of the next frame up to an empty line, or `None` at the end.
    ///
    /// # Errors
    ///
    /// The connection fails, or the answer is not chunked.
    pub async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event = self.text[..end].to_owned();
                self.text.drain(..end + 2);
                return Ok(Some(event));
            }
            if self.has_ended {
                return Ok(None);
            }
            let mut buffer = vec![0; 16 << 10];
            let n = self.socket.read(&mut buffer).await?;
            self.has_ended = n == 0;
            self.rest.extend_from_slice(&buffer[..n]);
            self.decode()?;
        }
    }

    /// Decodes complete chunks.
    fn decode(&mut self) -> io::Result<()> {
        let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|at| at == what);
        if !self.in_body {
            let Some(end) = find(&self.rest, b"\r\n\r\n") else {
                return Ok(());
            };
            self.rest.drain(..end + 4);
            self.in_body = true;
        }
        while let Some(line) = find(&self.rest, b"\r\n") {
            let size = String::from_utf8_lossy(&self.rest[..line]);
            let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            if self.rest.len() < line + size + 4 {
                break;
            }
            if size == 0 {
                self.has_ended = true;
                return Ok(());
            }
            let chunk = &self.rest[line + 2..line + 2 + size];
            self.text.push_str(&String::from_utf8_lossy(chunk));
            self.bytes += size;
            self.rest.drain(..line + size + 4);
        }
        Ok(())
    }
}
