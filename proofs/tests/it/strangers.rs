//! Clients that others wrote obey the rejections of a gate: curl, grpcio, and grpc-js.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::Path,
    process::Output,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, middleware::map_request, response::Response};
use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use plimsoll_core::{GateLayer, Instant, Kind, Outcome, Policy, Rejection, policy::Verdict};
use tokio::{net::TcpListener, process::Command, time::timeout};

/// Longer than any of the programs runs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A policy that rejects the first requests, as a full server does.
struct RejectsFirst {
    rejections: AtomicUsize,
    hint: Duration,
}

impl<Req> Policy<Req> for RejectsFirst {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        let left = |left: usize| left.checked_sub(1);
        if self
            .rejections
            .fetch_update(Relaxed, Relaxed, left)
            .is_err()
        {
            return Verdict::Admit(());
        }
        let rejection = Rejection::new("rejects-first", Kind::Full);
        Verdict::Reject(rejection.with_retry_after(self.hint))
    }

    fn finish(&self, (): (), _: &Outcome) {}

    fn revoke(&self, (): (), _: Instant, _: Instant) {}
}

/// When requests have arrived, rejected ones included.
type Arrivals = Arc<Mutex<Vec<Instant>>>;

/// Serves HTTP/1.1 and gRPC behind a gate that rejects the first requests with this hint.
async fn serve(rejections: usize, hint: Duration) -> (SocketAddr, Arrivals) {
    let rejections = AtomicUsize::new(rejections);
    let gate: GateLayer<_> = GateLayer::new(RejectsFirst { rejections, hint });
    let arrivals = Arrivals::default();
    let log = Arc::clone(&arrivals);
    let app = Router::new()
        .fallback(answer)
        .layer(gate)
        .layer(map_request(move |request: Request| {
            log.lock().unwrap().push(Instant::now());
            async { request }
        }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (addr, arrivals)
}

/// `ok`, as text or as a gRPC message of two bytes.
async fn answer(request: Request) -> Response {
    let kind = request.headers().get(CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/grpc") {
        return Response::new(Body::from("ok"));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Full::from("\0\0\0\0\u{2}ok").with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(Body::new(message));
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// The seconds between arrivals.
fn gaps(arrivals: &Arrivals) -> Vec<f64> {
    let arrivals = arrivals.lock().unwrap();
    let pairs = arrivals.windows(2);
    pairs.map(|two| (two[1] - two[0]).as_secs_f64()).collect()
}

/// Runs a program to its end, and returns what it printed.
async fn run(command: &mut Command) -> String {
    let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await;
    let Output { stdout, stderr, .. } = output
        .expect("the program ends")
        .unwrap_or_else(|error| panic!("{error}: `cargo xtask test` installs it"));
    let text = String::from_utf8_lossy(&stdout).trim().to_owned();
    let errors = String::from_utf8_lossy(&stderr);
    let installs = "`cargo xtask test` installs its packages";
    assert!(!text.is_empty(), "{errors}\n{installs}");
    text
}

fn folder(path: &str) -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.parent().expect("a workspace").join(path)
}

/// grpcio with up to four attempts per call, after backoffs of 50 to 200 ms.
async fn grpcio(addr: SocketAddr, calls: usize, timeout: f64) -> String {
    let mut python = Command::new("python3");
    python.arg(folder("proofs/clients/grpcio_calls.py"));
    python.args([
        addr.port().to_string(),
        calls.to_string(),
        timeout.to_string(),
    ]);
    python.env("PYTHONPATH", folder("target/clients/python"));
    run(&mut python).await
}

/// grpc-js with up to three hedged attempts, 10 s apart unless the server states otherwise.
async fn grpc_js(addr: SocketAddr, timeout: f64) -> String {
    let mut node = Command::new("node");
    node.arg(folder("proofs/clients/hedged_call.js"));
    node.args([addr.port().to_string(), timeout.to_string()]);
    node.env("NODE_PATH", folder("target/clients/node/node_modules"));
    run(&mut node).await
}

#[tokio::test]
async fn curl_retries_after_the_time_of_retry_after() {
    let (addr, arrivals) = serve(1, Duration::from_secs(3)).await;
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--retry", "3", &format!("http://{addr}/")]);
    // The body of the rejection comes first.
    let text = run(&mut curl).await;
    assert!(text.ends_with("ok"), "{text}");
    let gaps = gaps(&arrivals);
    assert_eq!(gaps.len(), 1);
    // Its own backoff begins with 1 s. The header is rounded up, and has jitter.
    assert!((2.9..8.0).contains(&gaps[0]), "{gaps:?}");
}

#[tokio::test]
async fn grpcio_retries_after_the_time_of_the_pushback() {
    let (addr, arrivals) = serve(2, Duration::from_millis(700)).await;
    assert_eq!(grpcio(addr, 1, 20.0).await, "OK");
    let gaps = gaps(&arrivals);
    assert_eq!(gaps.len(), 2);
    // Its own backoff is 200 ms at most.
    assert!(gaps.iter().all(|gap| *gap >= 0.69), "{gaps:?}");
}

/// The gate forbids a retry that would come after the caller's deadline.
#[tokio::test]
async fn grpcio_does_not_retry_after_a_negative_pushback() {
    let (addr, arrivals) = serve(1, Duration::from_secs(5)).await;
    assert_eq!(grpcio(addr, 1, 4.0).await, "UNAVAILABLE");
    assert_eq!(arrivals.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn grpcio_stops_retrying_when_half_of_its_tokens_are_spent() {
    let (addr, arrivals) = serve(usize::MAX, Duration::from_millis(1)).await;
    let printed = grpcio(addr, 20, 20.0).await;
    assert!(
        printed.lines().all(|line| line == "UNAVAILABLE"),
        "{printed}"
    );
    let attempts = arrivals.lock().unwrap().len();
    // Five failures leave half of ten tokens. Without throttling: 80 attempts.
    assert!((20..=25).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn grpc_js_hedges_after_the_time_of_the_pushback() {
    let (addr, arrivals) = serve(2, Duration::from_millis(700)).await;
    assert_eq!(grpc_js(addr, 20.0).await, "OK");
    let gaps = gaps(&arrivals);
    assert_eq!(gaps.len(), 2);
    assert!(gaps.iter().all(|gap| (0.69..9.0).contains(gap)), "{gaps:?}");
}

#[tokio::test]
async fn grpc_js_does_not_hedge_after_a_negative_pushback() {
    let (addr, arrivals) = serve(1, Duration::from_secs(5)).await;
    assert_eq!(grpc_js(addr, 4.0).await, "UNAVAILABLE");
    assert_eq!(arrivals.lock().unwrap().len(), 1);
}
