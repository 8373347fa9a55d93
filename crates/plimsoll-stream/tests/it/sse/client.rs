//! A client: the parser of the standard, and requests without a socket.

use std::time::Duration;

use axum::{Router, body::Body};
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// A dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) id: String,
}

/// The parser of the HTML standard, 9.2.6, for input in pieces.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    name: String,
    data: String,
    id_buffer: String,
    /// What a browser sends as `Last-Event-ID`.
    pub(crate) last_id: String,
    pub(crate) retry: Option<u64>,
    pub(crate) comments: usize,
    pub(crate) events: Vec<Event>,
}

impl Parser {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            // Frames of this crate end lines by `\n` only.
            assert_ne!(*byte, b'\r');
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.line(std::str::from_utf8(&line).unwrap());
            } else {
                self.line.push(*byte);
            }
        }
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.dispatch();
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => self.comments += 1,
            "event" => value.clone_into(&mut self.name),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" => value.clone_into(&mut self.id_buffer),
            "retry" => self.retry = value.parse().ok(),
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.last_id = self.id_buffer.clone();
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        if let Some(data) = data.strip_suffix('\n') {
            self.events.push(Event {
                name: if name.is_empty() {
                    "message".into()
                } else {
                    name
                },
                data: data.to_owned(),
                id: self.last_id.clone(),
            });
        }
    }

    /// The data of events without a name.
    pub(crate) fn messages(&self) -> Vec<u64> {
        let messages = self.events.iter().filter(|event| event.name == "message");
        messages.map(|event| event.data.parse().unwrap()).collect()
    }

    /// The data of events of this name.
    pub(crate) fn named(&self, name: &str) -> Vec<&str> {
        let named = self.events.iter().filter(|event| event.name == name);
        named.map(|event| event.data.as_str()).collect()
    }
}

/// A request with the id of the last event, if it is not empty.
pub(crate) fn request(uri: &str, last_id: &str) -> Request<Body> {
    let mut request = Request::builder().uri(uri);
    if !last_id.is_empty() {
        request = request.header("last-event-id", last_id);
    }
    request.body(Body::empty()).unwrap()
}

pub(crate) async fn get(app: &Router, uri: &str, last_id: &str) -> Response<Body> {
    app.clone().oneshot(request(uri, last_id)).await.unwrap()
}

/// The next frame, or `None` at the end. Waits for at most a minute of the paused clock.
pub(crate) async fn frame(response: &mut Response<Body>) -> Option<Vec<u8>> {
    let frame = tokio::time::timeout(Duration::from_secs(60), response.frame());
    let frame = frame.await.expect("a frame within a minute")?;
    Some(frame.unwrap().into_data().unwrap().to_vec())
}

/// Reads what there is now, up to the end.
pub(crate) async fn read_ready(response: &mut Response<Body>, parser: &mut Parser) -> bool {
    loop {
        let ready = futures_util::FutureExt::now_or_never(response.frame());
        match ready {
            None => return true,
            Some(None) => return false,
            Some(Some(frame)) => parser.push(&frame.unwrap().into_data().unwrap()),
        }
    }
}
