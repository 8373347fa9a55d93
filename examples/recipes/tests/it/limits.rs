//! Rate limits and concurrency limits.

use crate::program::{Program, send};

#[tokio::test]
async fn rate_limit_per_ip() {
    let program = Program::start("rate_limit_per_ip").await;
    let from = |addresses: &'static str| program.get_with("/", "x-forwarded-for", addresses);
    for _ in 0..3 {
        from("203.0.113.7").await.is(200, "hello");
    }
    let rejected = from("203.0.113.7").await;
    rejected.is_rejected(429, "rate-limit");
    let wait: u64 = rejected.header("retry-after").parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert!(rejected.header("ratelimit-policy").contains("per-client"));
    assert_eq!(from("198.51.100.1, 203.0.113.7").await.status, 429);
    from("198.51.100.1").await.is(200, "hello");
    program.get("/").await.is(200, "hello");
}

#[tokio::test]
async fn limits_per_route() {
    let program = Program::start("limits_per_route").await;
    for _ in 0..2 {
        program.get("/search").await.is(200, "found");
    }
    let rejected = program.get("/search").await;
    rejected.is_rejected(429, "rate-limit");
    assert!(rejected.header("ratelimit-policy").contains("search"));

    for path in ["/items/1", "/items/2", "/items/3", "/items/4", "/items/5"] {
        let id = &path["/items/".len()..];
        program.get(path).await.is(200, &format!("item {id}"));
    }
    program.get("/items/6").await.is_rejected(429, "rate-limit");
    program.get("/items").await.is(200, "all items");
    assert_eq!(program.get("/nowhere").await.status, 404);
    for _ in 0..10 {
        program.get("/healthz").await.is(200, "ok");
    }
}

#[tokio::test]
async fn plans_by_api_key() {
    let program = Program::start("plans_by_api_key").await;
    for (key, plan, at_once) in [("ann", "pro", 5), ("bob", "free", 2), ("cid", "free", 2)] {
        for _ in 0..at_once {
            program
                .get_with("/", "x-api-key", key)
                .await
                .is(200, "hello");
        }
        let rejected = program.get_with("/", "x-api-key", key).await;
        rejected.is_rejected(429, "rate-limit");
        assert!(rejected.header("ratelimit-policy").contains(plan));
    }
    assert_eq!(program.get("/").await.status, 401);
    let unknown = program.get_with("/", "x-api-key", "eve").await;
    assert_eq!(unknown.status, 401);
}

#[tokio::test]
async fn adaptive_limit() {
    let program = Program::start("adaptive_limit").await;
    program.get("/").await.is(200, "hello");
    let requests = (0..300).map(|_| tokio::spawn(send(program.request("GET", "/"))));
    let (mut answered, mut rejected) = (0, 0);
    for request in requests.collect::<Vec<_>>() {
        let answer = request.await.expect("no panic");
        if answer.status == 200 {
            answered += 1;
        } else {
            answer.is_rejected(503, "concurrency");
            assert!(!answer.header("retry-after").is_empty());
            rejected += 1;
        }
    }
    assert!(answered > 0 && rejected > 0, "{answered} and {rejected}");
    let shown = program.get("/limit").await;
    assert!(shown.body.starts_with("limit "), "{shown:?}");
    assert!(shown.body.ends_with("in flight 0, queued 0\n"), "{shown:?}");
}
