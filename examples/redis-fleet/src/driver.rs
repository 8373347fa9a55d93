//! The traffic: three times the quota, spread over all replicas.

use std::{error::Error, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

/// Callers per replica, and the time between two requests of one.
const CALLERS: usize = 4;
const EVERY: Duration = Duration::from_millis(20);

pub(crate) type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// The results of the callers of all replicas.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Admitted requests, by replica.
    pub(crate) admitted: Vec<u64>,
    pub(crate) sent: u64,
    /// Times from the request to the head of its response, sorted.
    pub(crate) latencies: Vec<Duration>,
}

pub(crate) fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// Calls `path` of all replicas for this time.
pub(crate) async fn drive(
    client: &HttpClient,
    replicas: &[SocketAddr],
    path: &'static str,
    duration: Duration,
) -> Result<Seen, Box<dyn Error>> {
    let mut callers = JoinSet::new();
    for (replica, addr) in replicas.iter().enumerate() {
        for _ in 0..CALLERS {
            let (client, uri) = (client.clone(), format!("http://{addr}{path}"));
            callers.spawn(async move { (replica, call(client, uri, duration).await) });
        }
    }
    let mut seen = Seen {
        admitted: vec![0; replicas.len()],
        ..Seen::default()
    };
    while let Some(caller) = callers.join_next().await {
        let (replica, (admitted, latencies)) = caller?;
        seen.admitted[replica] += admitted;
        seen.sent += latencies.len() as u64;
        seen.latencies.extend(latencies);
    }
    seen.latencies.sort_unstable();
    Ok(seen)
}

/// One caller. Returns how often it was admitted, and the latency of each response.
async fn call(client: HttpClient, uri: String, duration: Duration) -> (u64, Vec<Duration>) {
    let (start, mut due) = (Instant::now(), interval(EVERY));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut admitted, mut latencies) = (0, Vec::new());
    while start.elapsed() < duration {
        due.tick().await;
        let request = Request::get(uri.as_str())
            .header("x-api-key", "ann")
            .body(Empty::new());
        let Ok(request) = request else { break };
        let asked = Instant::now();
        if let Ok(response) = client.request(request).await {
            latencies.push(asked.elapsed());
            admitted += u64::from(response.status() == StatusCode::OK);
        }
    }
    (admitted, latencies)
}
