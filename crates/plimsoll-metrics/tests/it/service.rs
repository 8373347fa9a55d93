//! Both endpoints over HTTP.

use std::future::Future;

use axum::{Router, routing::get};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use plimsoll_metrics::Metrics;
use tower::ServiceExt;

use crate::reader;

async fn ask(metrics: &Metrics, method: Method, path: &str, accept: &str) -> Response<String> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::ACCEPT, accept);
    metrics
        .service()
        .oneshot(request.body(()).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn metrics_have_the_requested_format() {
    let metrics = Metrics::new();
    _ = metrics.gate("edge");
    let open = ask(
        &metrics,
        Method::GET,
        "/metrics",
        "application/openmetrics-text;version=1.0.0,*/*;q=0.1",
    )
    .await;
    assert_eq!(
        open.headers()[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(open.headers()[header::VARY], "accept");
    reader::openmetrics(open.body());

    let classic = ask(&metrics, Method::GET, "/metrics", "*/*").await;
    assert_eq!(
        classic.headers()[header::CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    assert_eq!(classic.headers()[header::CACHE_CONTROL], "no-store");
    reader::classic(classic.body());
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let metrics = Metrics::new();
    metrics.load("store", || 3.0).unwrap();
    for path in ["/metrics", "/health/load", "/health/ready"] {
        let get = ask(&metrics, Method::GET, path, "*/*").await;
        let head = ask(&metrics, Method::HEAD, path, "*/*").await;
        assert_eq!(head.status(), get.status());
        assert_eq!(
            head.headers()[header::CONTENT_TYPE],
            get.headers()[header::CONTENT_TYPE]
        );
        assert_eq!(
            head.headers()[header::CONTENT_LENGTH],
            get.body().len().to_string()
        );
        assert_eq!(head.body(), "");
    }
}

#[tokio::test]
async fn other_paths_are_not_found_and_other_methods_not_allowed() {
    let metrics = Metrics::new();
    for path in ["/", "/metrics/", "/health", "/health/load/x", "/Metrics"] {
        assert_eq!(
            ask(&metrics, Method::GET, path, "*/*").await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let post = ask(&metrics, Method::POST, "/metrics", "*/*").await;
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post.headers()[header::ALLOW], "GET, HEAD");
    assert_eq!(
        ask(&metrics, Method::GET, "/metrics?name=x", "*/*")
            .await
            .status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn axum_accepts_the_service_and_its_responses_in_handlers() {
    let metrics = Metrics::new();
    let (text, health) = (metrics.clone(), metrics.clone());
    let app: Router = Router::new()
        .route_service("/metrics", metrics.service())
        .nest_service("/internal", metrics.service())
        .route(
            "/custom/metrics",
            get(move || async move { text.prometheus() }),
        )
        .route(
            "/custom/health",
            get(move || async move { health.health() }),
        )
        .fallback_service(metrics.service());
    for (path, status) in [
        ("/metrics", 200),
        ("/internal/metrics", 200),
        ("/internal/health/load", 200),
        ("/internal/none", 404),
        ("/custom/metrics", 200),
        ("/custom/health", 200),
        ("/health/load", 200),
        ("/none", 404),
    ] {
        let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if path.ends_with("metrics") {
            reader::classic(std::str::from_utf8(&body).unwrap());
        }
    }
}

#[tokio::test]
async fn the_service_answers_over_a_real_socket() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let metrics = Metrics::new();
    metrics.load("store", || 2.0).unwrap();
    let app: Router = Router::new().fallback_service(metrics.service());
    let server = tokio::spawn(axum::serve(listener, app).into_future());

    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let two = "HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\nGET /health/load HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(two.as_bytes()).await.unwrap();
    let mut answers = String::new();
    socket.read_to_string(&mut answers).await.unwrap();
    let (head, get) = answers.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answers}");
    assert!(get.starts_with("HTTP/1.1 503"), "{answers}");
    assert!(get.ends_with("\"status\":\"overloaded\"}"), "{answers}");
    server.abort();
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(2000))]

    #[test]
    fn the_format_is_accepted_for_any_accept_header(
        words in proptest::collection::vec(proptest::sample::select(&ACCEPT_WORDS[..]), 0..12)
    ) {
        crate::fuzz_target::metrics_accept(words.concat().as_bytes());
    }
}

/// Words of `accept`. A line break ends a header line.
const ACCEPT_WORDS: [&str; 20] = [
    "application/openmetrics-text",
    "Application/OpenMetrics-Text",
    ";version=1.0.0",
    ";version=\"0.0.4\"",
    ";version=9",
    "text/plain",
    "*/*",
    ",",
    ", ",
    ";",
    ";q=",
    "q=0",
    ";q=0.5",
    ";Q=1",
    "nan",
    "1e-9",
    "-1",
    "\n",
    "\u{e9}",
    " ",
];

#[tokio::test]
async fn law_10_a_gauge_that_blocks_holds_up_no_health_check() {
    let metrics = Metrics::new();
    for n in 0..100 {
        _ = metrics.gate(format!("gate {n}"));
    }
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let gauge = move || {
        _ = released
            .lock()
            .unwrap()
            .recv_timeout(std::time::Duration::from_secs(10));
        1.0
    };
    metrics.gauge("ads_blocked", "Blocks", &[], gauge).unwrap();
    let service = metrics.service();
    let get = |path| Request::get(path).body(()).unwrap();
    let scrape = tokio::spawn(service.clone().oneshot(get("/metrics")));
    tokio::task::yield_now().await;
    // The runtime of this test has one thread: were the scrape on it, nothing would run.
    for path in ["/health/load", "/health/ready"] {
        for _ in 0..100 {
            let response = service.clone().oneshot(get(path)).await.unwrap();
            assert_eq!(response.status(), 200);
        }
    }
    assert!(!scrape.is_finished());
    release.send(()).unwrap();
    assert_eq!(scrape.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn scrapes_beyond_the_bound_are_rejected() {
    let metrics = Metrics::new();
    let gate = std::sync::Arc::new(std::sync::Barrier::new(5));
    let barrier = gate.clone();
    metrics
        .gauge("ads_blocked", "Blocks", &[], move || {
            barrier.wait();
            1.0
        })
        .unwrap();
    let service = metrics.service();
    let get = || Request::get("/metrics").body(()).unwrap();
    let scrapes: Vec<_> = (0..4)
        .map(|_| tokio::spawn(service.clone().oneshot(get())))
        .collect();
    tokio::task::yield_now().await;
    let fifth = service.clone().oneshot(get()).await.unwrap();
    assert_eq!(
        (
            fifth.status().as_u16(),
            &fifth.headers()[header::RETRY_AFTER]
        ),
        (503, &"1".parse().unwrap())
    );
    let wait = tokio::task::spawn_blocking(move || gate.wait());
    for scrape in scrapes {
        assert_eq!(scrape.await.unwrap().unwrap().status(), 200);
    }
    wait.await.unwrap();
}

#[test]
fn without_a_runtime_a_scrape_runs_in_the_call() {
    use std::task::{Context, Poll, Waker};

    let answer = Metrics::new()
        .service()
        .oneshot(Request::get("/metrics").body(()).unwrap());
    let mut answer = std::pin::pin!(answer);
    let polled = answer
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Ok(response)) if response.status() == 200));
}
