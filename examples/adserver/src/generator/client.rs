//! The clients: HTTP/1.1 over kept-alive connections, each with a deadline after which it hangs up.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header::HOST};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{settings::IMPRESSION_BYTES, wire};

/// The names of the criticalities on the wire, least important first.
pub(super) const CRITICALITIES: [&str; 4] =
    ["SHEDDABLE", "SHEDDABLE_PLUS", "CRITICAL", "CRITICAL_PLUS"];

/// What a request is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Want {
    Auction { publisher: u32, cost: f32 },
    Impression { publisher: u32, criticality: usize },
}

/// How a request ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With an answer of the server's.
    Reply(Reply),
    /// The deadline came first.
    Late,
    /// The connection broke.
    Broken,
}

/// What an answer says.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// It carries a house ad.
    pub(super) house: bool,
    /// The policy that refused, also when a house ad stands in for the refusal.
    pub(super) refused_by: Option<String>,
    /// Analytics left it out.
    pub(super) unrecorded: bool,
    /// Bidders that were not asked.
    pub(super) bids_refused: u64,
}

/// All clients together, with the connections that are idle.
pub(super) struct Client {
    target: SocketAddr,
    /// The last one used goes first, so that few are kept warm. As many at most as were in use at the same time.
    idle: Mutex<Vec<Connection>>,
    impression: Bytes,
}

/// A connection; dropping it closes the socket, under a request too.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Client {
    pub(super) fn new(target: SocketAddr) -> Self {
        let impression = Bytes::from(vec![b'i'; IMPRESSION_BYTES]);
        Self {
            target,
            idle: Mutex::default(),
            impression,
        }
    }

    /// Sends a request and reads the answer, or hangs up at the deadline.
    pub(super) async fn call(&self, want: Want, deadline: Instant) -> Ending {
        match timeout_at(deadline, self.exchange(want)).await {
            // The timer is coarser than the deadline.
            Ok(Ok(_)) if Instant::now() > deadline => Ending::Late,
            Ok(Ok(reply)) => Ending::Reply(reply),
            Ok(Err(_)) => Ending::Broken,
            Err(_) => Ending::Late,
        }
    }

    async fn exchange(&self, want: Want) -> io::Result<Reply> {
        let mut connection = self.connection().await?;
        let request = self.request(want).map_err(io::Error::other)?;
        let response = connection
            .sender
            .send_request(request)
            .await
            .map_err(io::Error::other)?;
        let (head, mut body) = response.into_parts();
        while let Some(frame) = body.frame().await {
            frame.map_err(io::Error::other)?;
        }
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        Ok(Reply::new(head.status, &head.headers))
    }

    /// An idle connection that is still open, or a new one.
    async fn connection(&self) -> io::Result<Connection> {
        loop {
            let idle = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let Some(mut connection) = idle else { break };
            if connection.sender.ready().await.is_ok() {
                return Ok(connection);
            }
        }
        let socket = TcpStream::connect(self.target).await?;
        socket.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(socket))
            .await
            .map_err(io::Error::other)?;
        let driver = tokio::spawn(async move { _ = driver.await });
        Ok(Connection { sender, driver })
    }

    fn request(&self, want: Want) -> http::Result<Request<Full<Bytes>>> {
        let request = Request::builder()
            .method(Method::POST)
            .header(HOST, "adserver");
        match want {
            Want::Auction { publisher, cost } => request
                .uri("/auction")
                .header(wire::PUBLISHER, format!("pub-{publisher}"))
                .header(wire::COST, format!("{cost:.3}"))
                .body(Full::default()),
            Want::Impression {
                publisher,
                criticality,
            } => request
                .uri("/impression")
                .header(wire::PUBLISHER, format!("pub-{publisher}"))
                .header(wire::CRITICALITY, CRITICALITIES[criticality])
                .body(Full::new(self.impression.clone())),
        }
    }
}

impl Reply {
    fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status,
            house: text(wire::AD) == Some(wire::HOUSE),
            refused_by: text(wire::REFUSED_BY)
                .or_else(|| text(wire::DEGRADED).and_then(refusal_behind))
                .map(str::to_owned),
            unrecorded: headers.contains_key(wire::UNRECORDED),
            bids_refused: text(wire::BIDS_REFUSED)
                .and_then(|n| n.parse().ok())
                .unwrap_or(0),
        }
    }
}

/// The policy in a mark such as `rejected;policy="concurrency";kind=full`.
fn refusal_behind(mark: &str) -> Option<&str> {
    let (_, rest) = mark.strip_prefix("rejected;")?.split_once("policy=\"")?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::refusal_behind;

    #[test]
    fn a_degraded_answer_tells_who_refused() {
        assert_eq!(
            refusal_behind("rejected;policy=\"concurrency\";kind=full"),
            Some("concurrency")
        );
        for mark in [
            "failed;status=502",
            "error",
            "rejected;kind=full",
            "rejected;policy=\"",
            "",
        ] {
            assert_eq!(refusal_behind(mark), None, "{mark}");
        }
    }
}
