//! Gates without services, a policy without requests, and requests without sockets.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode},
};
use http_body_util::BodyExt;
use plimsoll_core::{
    Class, Kind, Observe, Outcome, Rejected, Rejection,
    figures::{Change, Figure, Figures},
};
use plimsoll_metrics::GateMetrics;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;

/// A call of a gate that ended.
pub(crate) fn call(gate: &GateMetrics, class: Class, millis: u64) {
    gate.admitted("gate", Duration::ZERO);
    let latency = Duration::from_millis(millis);
    gate.finished("gate", &Outcome::new(class, latency, Instant::now()));
}

pub(crate) fn reject(gate: &GateMetrics, policy: &'static str, kind: Kind) {
    let rejection = Rejection::new(policy, kind);
    gate.rejected("gate", &Rejected::new(&rejection, None));
}

type Callback = Arc<dyn Fn(&Change) + Send + Sync>;

/// A policy whose figures the test sets.
#[derive(Clone, Default)]
pub(crate) struct Policy {
    pub(crate) name: &'static str,
    pub(crate) figures: Arc<Mutex<Vec<(&'static Figure, f64)>>>,
    callbacks: Arc<Mutex<Vec<Callback>>>,
}

impl Policy {
    pub(crate) fn new(name: &'static str, figures: &[(&'static Figure, f64)]) -> Self {
        Self {
            name,
            figures: Arc::new(Mutex::new(figures.to_vec())),
            callbacks: Arc::default(),
        }
    }

    pub(crate) fn set(&self, figure: &'static Figure, to: f64, reason: &str) {
        let mut figures = self.figures.lock().unwrap();
        let place = figures.iter_mut().find(|(of, _)| *of == figure).unwrap();
        let from = std::mem::replace(&mut place.1, to);
        drop(figures);
        for callback in &*self.callbacks.lock().unwrap() {
            callback(&Change::new(figure, from, to, reason).of_key("the key"));
        }
    }
}

impl Figures for Policy {
    fn policy(&self) -> &str {
        self.name
    }
    fn read(&self, each: &mut dyn FnMut(&'static Figure, f64)) {
        for (figure, value) in &*self.figures.lock().unwrap() {
            each(figure, *value);
        }
    }
    fn settings(&self, each: &mut dyn FnMut(&'static str, &dyn std::fmt::Display)) {
        each("queue", &"30, 300ms");
    }
    fn on_change(&self, callback: Callback) {
        self.callbacks.lock().unwrap().push(callback);
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

pub(crate) async fn get(router: &Router, path: &str) -> Answer {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

/// Waits for seconds, and for the reading at their end.
pub(crate) async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
    sleep(Duration::from_millis(10)).await;
}

/// The stream of updates, as a body.
pub(crate) async fn updates(router: &Router) -> Body {
    let request = Request::get("/updates").body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap().into_body()
}

/// The next frame of a stream; empty at its end.
pub(crate) async fn frame(body: &mut Body) -> String {
    match body.frame().await {
        Some(frame) => String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap(),
        None => String::new(),
    }
}

/// The update in a frame.
pub(crate) fn update_of(frame: &str) -> Value {
    let data = frame.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(data.unwrap_or_else(|| panic!("{frame}"))).unwrap()
}
