//! Priorities, deadlines and what clients get.

use std::time::Duration;

use crate::program::{Program, send};

#[tokio::test]
async fn full_stack() {
    let program = Program::start("full_stack").await;
    let late = program.get_with("/", "plimsoll-timeout-ms", "2").await;
    late.is(200, "a cached answer");
    let cause = late.header("plimsoll-degraded");
    assert_eq!(cause, r#"rejected;policy="deadline";kind=deadline"#);
    for _ in 0..20 {
        program.get("/").await.is(200, "hello");
    }
    let rejected = program.get("/").await;
    rejected.is_rejected(429, "rate-limit");

    let metrics = program.get("/metrics").await;
    for line in [
        r#"plimsoll_admitted_total{gate="edge"} 20"#,
        r#"plimsoll_rejected_total{gate="edge",policy="rate-limit",kind="over-quota"} 1"#,
        r#"plimsoll_rejected_total{gate="edge",policy="deadline",kind="deadline"} 1"#,
    ] {
        let there = metrics.body.lines().any(|other| other == line);
        assert!(there, "{line} is not in\n{}", metrics.body);
    }
    assert_eq!(program.get("/health/load").await.status, 200);
}

#[tokio::test]
async fn priorities() {
    let program = Program::start("priorities").await;
    let report = |token: &str| {
        let request = program.request("GET", "/report").bearer_auth(token);
        tokio::spawn(send(request))
    };
    let queue = async |expected: &str| {
        let mut shown = String::new();
        for _ in 0..200 {
            shown = program.get("/queue").await.body;
            if shown == expected {
                return;
            }
        }
        panic!("{shown} instead of {expected}");
    };
    let running = report("batch-job");
    queue("in flight 1, queued 0").await;
    let waiting = report("batch-job");
    queue("in flight 1, queued 1").await;
    let user = report("ann");
    waiting.await.unwrap().is_rejected(503, "concurrency");
    running.await.unwrap().is(200, "report");
    user.await.unwrap().is(200, "report");
    assert_eq!(report("eve").await.unwrap().status, 401);
}

#[tokio::test]
async fn deadlines() {
    let program = Program::start("deadlines").await;
    let within = |millis: &'static str| program.get_with("/", "plimsoll-timeout-ms", millis);
    let answer = within("1000").await;
    assert_eq!(answer.status, 200);
    let left = answer.body.strip_suffix(" ms left").expect("a time");
    let left = left.parse().map(Duration::from_millis).unwrap();
    assert!(left > Duration::from_millis(50) && left <= Duration::from_secs(1));
    within("20").await.is_rejected(504, "deadline");
    program.get("/").await.is(200, "no deadline");
}

#[tokio::test]
async fn own_rejection() {
    let program = Program::start("own_rejection").await;
    program.get("/").await.is(200, "hello");
    let rejected = program.get("/").await;
    rejected.is_rejected(429, "rate-limit");
    assert_eq!(rejected.header("content-type"), "application/json");
    assert!(rejected.header("ratelimit-policy").contains("hello"));
    let wait: u64 = rejected.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait));
    let start = r#"{"error":"over-quota","retry_in_ms":"#;
    let rest = rejected.body.strip_prefix(start).expect("own body");
    let millis: u64 = rest.strip_suffix('}').unwrap().parse().unwrap();
    assert_eq!(millis.div_ceil(1_000), wait);
}

#[tokio::test]
async fn fallback_page() {
    let program = Program::start("fallback_page").await;
    let page = "<h1>Back in a moment</h1>";
    program.get("/").await.is(200, "hello");
    let broken = program.get("/broken").await;
    broken.is(200, page);
    assert_eq!(broken.header("plimsoll-degraded"), "failed;status=500");
    assert_eq!(broken.header("cache-control"), "no-store");
    assert_eq!(broken.header("content-type"), "text/html; charset=utf-8");

    let send_slow = || tokio::spawn(send(program.request("GET", "/slow")));
    let mut slow = send_slow();
    let cause = r#"rejected;policy="concurrency";kind=full"#;
    let rejected = loop {
        let answer = program.get("/").await;
        if answer.body == page {
            break answer;
        }
        // It was itself rejected, by the request to `/` that was served meanwhile.
        if slow.is_finished() {
            slow = send_slow();
        }
    };
    assert_eq!(rejected.header("plimsoll-degraded"), cause);
    slow.abort(); // the client leaves, and the slot is free again
}

#[tokio::test]
async fn around_a_gate() {
    let mut program = Program::start("around_a_gate").await;
    let request = program.request("GET", "/");
    let request = request.header("accept-encoding", "gzip");
    let response = request.header("origin", "http://example.com").send();
    let response = response.await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.bytes().await.unwrap().len() < 1_000);
    assert!(program.line().await.starts_with("200 OK after "));

    let preflight = program.request("OPTIONS", "/");
    let preflight = preflight.header("origin", "http://example.com");
    let preflight = preflight.header("access-control-request-method", "GET");
    assert_eq!(send(preflight).await.status, 200);
    assert!(program.line().await.starts_with("200 OK after "));

    assert_eq!(program.get("/slow").await.status, 504);
    assert!(program.line().await.starts_with("504 Gateway Timeout"));
    let rejected = program.get_with("/", "origin", "http://example.com").await;
    rejected.is_rejected(429, "rate-limit");
    assert_eq!(rejected.header("access-control-allow-origin"), "*");
    let exposed = rejected.header("access-control-expose-headers");
    assert_eq!(exposed, "retry-after");
    assert!(program.line().await.starts_with("429 Too Many Requests"));
}
