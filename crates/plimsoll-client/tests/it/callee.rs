//! A callee that answers by a script, and notes what it receives.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use plimsoll_client::ReplayBody;
use plimsoll_core::{Rejection, protocol::BoxError};
use tokio::time::Instant;
use tower::{Service, service_fn};

/// One answer.
#[derive(Clone)]
pub(crate) enum Answer {
    Head(u16, Vec<(&'static str, &'static str)>),
    /// As a gate in this process.
    Rejection(Rejection),
    Error(io::ErrorKind),
    /// 200 after a while.
    Late(Duration),
}

/// A status without headers.
pub(crate) fn status(status: u16) -> Answer {
    Answer::Head(status, Vec::new())
}

/// What was received with an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// Since the callee was made.
    pub(crate) at: Duration,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

#[derive(Clone)]
pub(crate) struct Callee {
    start: Instant,
    script: Arc<Mutex<VecDeque<Answer>>>,
    received: Arc<Mutex<Vec<Attempt>>>,
}

impl Callee {
    /// Answers in this order, then with 200.
    pub(crate) fn new(script: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            start: Instant::now(),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            received: Arc::default(),
        }
    }

    pub(crate) fn received(&self) -> Vec<Attempt> {
        self.received.lock().unwrap().clone()
    }

    pub(crate) fn attempts(&self) -> usize {
        self.received().len()
    }

    /// The times of all attempts in milliseconds.
    pub(crate) fn times(&self) -> Vec<u128> {
        self.received()
            .iter()
            .map(|attempt| attempt.at.as_millis())
            .collect()
    }

    pub(crate) fn service<B>(
        &self,
    ) -> impl Service<
        Request<ReplayBody<B>>,
        Response = Response<Full<Bytes>>,
        Error = io::Error,
        Future: Send,
    > + Clone
    + Send
    + use<B>
    where
        B: Body + Unpin + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let callee = self.clone();
        service_fn(move |req: Request<ReplayBody<B>>| {
            let callee = callee.clone();
            async move { callee.answer(req).await }
        })
    }

    async fn answer<B>(self, req: Request<ReplayBody<B>>) -> io::Result<Response<Full<Bytes>>>
    where
        B: Body + Unpin,
        B::Error: Into<BoxError>,
    {
        let (head, body) = req.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        self.received.lock().unwrap().push(Attempt {
            at: self.start.elapsed(),
            headers: head.headers,
            body,
        });
        let answer = self.script.lock().unwrap().pop_front();
        let mut response = Response::new(Full::from("answer"));
        match answer.unwrap_or_else(|| status(200)) {
            Answer::Head(status, headers) => {
                *response.status_mut() = status.try_into().unwrap();
                for (name, value) in headers {
                    response.headers_mut().append(name, value.parse().unwrap());
                }
            }
            Answer::Rejection(rejection) => {
                *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                response.extensions_mut().insert(rejection);
            }
            Answer::Error(kind) => return Err(kind.into()),
            Answer::Late(after) => tokio::time::sleep(after).await,
        }
        Ok(response)
    }
}
