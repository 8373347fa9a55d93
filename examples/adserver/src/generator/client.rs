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
use plimsoll_core::wire::TIMEOUT;
use tokio::{
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, timeout_at},
};

use crate::{settings::IMPRESSION_BYTES, wire};

/// The names of the criticalities on the wire, least important first.
pub(super) const CRITICALITIES: [&str; 4] =
    ["SHEDDABLE", "SHEDDABLE_PLUS", "CRITICAL", "CRITICAL_PLUS"];

/// The kind of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Want {
    Auction { publisher: u32, cost: f32 },
    Impression { publisher: u32, criticality: usize },
}

/// How a request ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With a response of the server.
    Reply(Reply),
    /// Without a response before the deadline.
    Late,
    /// With a broken connection.
    Broken,
}

/// The relevant parts of a response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// Whether it holds a house ad.
    pub(super) house: bool,
    /// The policy that rejected, also when a house ad replaces the rejection.
    pub(super) refused_by: Option<String>,
    /// Whether analytics did not record it.
    pub(super) unrecorded: bool,
    /// Number of bidders that were not asked.
    pub(super) bids_refused: u64,
}

/// All clients, with the idle connections.
pub(super) struct Client {
    target: SocketAddr,
    /// Last in, first out. At most as many as were in use at the same time.
    idle: Mutex<Vec<Connection>>,
    impression: Bytes,
}

/// A connection. Dropping it closes the socket, also during a request.
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

    /// Sends a request and reads the response, or hangs up at the deadline.
    pub(super) async fn call(&self, want: Want, deadline: Instant) -> Ending {
        match timeout_at(deadline, self.exchange(want, deadline)).await {
            // The timer fires up to a millisecond late.
            Ok(Ok(_)) if Instant::now() > deadline => Ending::Late,
            Ok(Ok(reply)) => Ending::Reply(reply),
            Ok(Err(_)) => Ending::Broken,
            Err(_) => Ending::Late,
        }
    }

    async fn exchange(&self, want: Want, deadline: Instant) -> io::Result<Reply> {
        let mut connection = self.connection().await?;
        let request = self.request(want, deadline).map_err(io::Error::other)?;
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

    /// Returns an idle connection that is still open, or a new one.
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

    fn request(&self, want: Want, deadline: Instant) -> http::Result<Request<Full<Bytes>>> {
        let left = deadline.saturating_duration_since(Instant::now());
        let request = Request::builder()
            .method(Method::POST)
            .header(HOST, "adserver")
            .header(TIMEOUT, left.as_millis() as u64);
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
                .or_else(|| text(wire::DEGRADED).and_then(rejecting_policy))
                .map(str::to_owned),
            unrecorded: headers.contains_key(wire::UNRECORDED),
            bids_refused: text(wire::BIDS_REFUSED)
                .and_then(|n| n.parse().ok())
                .unwrap_or(0),
        }
    }
}

/// Returns the policy in a mark such as `rejected;policy="concurrency";kind=full`.
fn rejecting_policy(mark: &str) -> Option<&str> {
    let (_, rest) = mark.strip_prefix("rejected;")?.split_once("policy=\"")?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::rejecting_policy;

    #[test]
    fn a_degraded_answer_names_the_policy_that_rejected() {
        assert_eq!(
            rejecting_policy("rejected;policy=\"concurrency\";kind=full"),
            Some("concurrency")
        );
        for mark in [
            "failed;status=502",
            "error",
            "rejected;kind=full",
            "rejected;policy=\"",
            "",
        ] {
            assert_eq!(rejecting_policy(mark), None, "{mark}");
        }
    }
}
