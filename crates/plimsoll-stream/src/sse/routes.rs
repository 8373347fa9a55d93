//! The routes of a topic.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{Request, StatusCode};

use crate::sse::{moves::Id, request::query, response::problem, topic::Topic};

/// Bytes of an acknowledgement: an id has at most 54. Longer bodies are not read.
const MAX_ACK: usize = 64;

impl Topic {
    /// Returns the routes of the [module](crate::sse), to be nested under a path.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        Router::new()
            .route("/", get(stream))
            .route("/poll", get(poll))
            .route("/ack", post(acknowledge))
            .with_state(self.clone())
    }
}

async fn stream(State(topic): State<Topic>, request: Request<Body>) -> Response {
    topic.stream(&request)
}

async fn poll(State(topic): State<Topic>, request: Request<Body>) -> Response {
    topic.poll(&request)
}

async fn acknowledge(State(topic): State<Topic>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let Some(connection) = query(&head.uri, "connection") else {
        return problem(StatusCode::BAD_REQUEST, "the query has no connection");
    };
    let Ok(body) = to_bytes(body, MAX_ACK).await else {
        return problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body is longer than an id",
        );
    };
    let id = std::str::from_utf8(&body)
        .ok()
        .map(str::trim)
        .map(str::parse::<Id>);
    let Some(Ok(id)) = id else {
        return problem(StatusCode::BAD_REQUEST, "the body is no id of an event");
    };
    match topic.acknowledge(connection, id.cursor) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error.into_response(),
    }
}
