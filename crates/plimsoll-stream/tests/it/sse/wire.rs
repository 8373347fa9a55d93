//! What is written.

use std::time::Duration;

use plimsoll_stream::{
    Cursor, Throttle,
    sse::{InvalidTopic, SseEvent, Topic},
};
use tokio::time::Instant;

use super::client::{Parser, frame, get};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn headers_keep_proxies_from_buffering_and_caches_from_storing() {
    let topic = Topic::builder().build().unwrap();
    let response = get(&topic.router(), "/", "").await;
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store, no-transform"),
        ("x-accel-buffering", "no"),
        ("connection", "keep-alive"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
}

#[tokio::test]
async fn the_bytes_of_a_stream_are_these() {
    let topic = Topic::builder().epoch(0xa1).build().unwrap();
    let mut response = get(&topic.router(), "/", "").await;
    topic
        .publish(SseEvent::new("one\ntwo").event("price").unwrap())
        .unwrap();
    topic.publish(SseEvent::new("")).unwrap();
    let bytes = frame(&mut response).await.unwrap();
    let text = "retry: 3000\nid: 00000000000000a1.0\n\n\
        id: 00000000000000a1.1\nevent: price\ndata: one\ndata: two\n\n\
        id: 00000000000000a1.2\ndata: \n\n";
    assert_eq!(std::str::from_utf8(&bytes).unwrap(), text);
}

#[tokio::test]
async fn the_first_frame_dispatches_nothing_and_sets_the_id() {
    let topic = Topic::builder().build().unwrap();
    topic.publish(SseEvent::new("before")).unwrap();
    let mut response = get(&topic.router(), "/", "").await;
    let mut parser = Parser::default();
    parser.push(&frame(&mut response).await.unwrap());
    assert!(parser.events.is_empty());
    assert_eq!(parser.last_id, topic.cursor().to_string());
    assert_eq!(parser.retry, Some(3_000));
}

#[tokio::test]
async fn line_ends_in_data_never_end_an_event() {
    let topic = Topic::builder().build().unwrap();
    let mut response = get(&topic.router(), "/", "").await;
    for (data, due) in [
        ("a\nb", "a\nb"),
        ("a\r\nb", "a\nb"),
        ("a\rb", "a\nb"),
        ("\n\n", "\n\n"),
        ("a\n\nid: 7\nevent: x", "a\n\nid: 7\nevent: x"),
        ("ends\r\n", "ends\n"),
        (" leading", " leading"),
    ] {
        topic.publish(SseEvent::new(data)).unwrap();
        let mut parser = Parser::default();
        parser.push(&frame(&mut response).await.unwrap());
        assert_eq!(parser.events.len(), 1, "{data:?}");
        assert_eq!(parser.events[0].data, due, "{data:?}");
    }
}

#[test]
fn a_name_that_would_break_the_format_or_is_the_topics_own_is_refused() {
    for name in ["", "a\nb", "a\rb", "a\0", "reset", "gap", "flow", "open"] {
        assert!(SseEvent::new("x").event(name).is_err(), "{name:?}");
    }
    assert!(SseEvent::new("x").event("price update").is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_has_a_heartbeat_and_a_busy_one_has_none() {
    let topic = Topic::builder().build().unwrap();
    let mut response = get(&topic.router(), "/", "").await;
    frame(&mut response).await.unwrap();
    let start = Instant::now();
    assert_eq!(frame(&mut response).await.unwrap(), b":\n\n");
    assert_eq!(start.elapsed(), Duration::from_secs(15));
    tokio::time::advance(Duration::from_secs(10)).await;
    topic.publish(SseEvent::new("x")).unwrap();
    frame(&mut response).await.unwrap();
    assert_eq!(frame(&mut response).await.unwrap(), b":\n\n");
    assert_eq!(start.elapsed(), Duration::from_secs(40));
    assert_eq!(topic.counters().heartbeats, 2);
}

#[tokio::test]
async fn a_closed_topic_ends_its_streams_and_later_ones_wait_before_they_come_back() {
    let topic = Topic::builder().build().unwrap();
    let app = topic.router();
    let mut response = get(&app, "/", "").await;
    topic.publish(SseEvent::new("1")).unwrap();
    assert!(topic.close());
    let mut parser = Parser::default();
    while let Some(bytes) = frame(&mut response).await {
        parser.push(&bytes);
    }
    assert_eq!(parser.messages(), [1]);
    // A browser would never come back after a 503, so it gets a stream that ends.
    let mut response = get(&app, "/", "").await;
    assert_eq!(response.status(), 200);
    parser.push(&frame(&mut response).await.unwrap());
    assert!((2_000..2_500).contains(&parser.retry.unwrap()));
    assert_eq!(frame(&mut response).await, None);
    let response = get(&app, "/?client=fetch", "").await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["x-stream-pause"], "true");
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn clients_are_bounded_and_counted_out() {
    let topic = Topic::builder().max_clients(2).build().unwrap();
    let app = topic.router();
    let first = get(&app, "/", "").await;
    let _second = get(&app, "/", "").await;
    assert_eq!(topic.counters().clients, 2);
    assert_eq!(get(&app, "/?client=fetch", "").await.status(), 503);
    let mut full = get(&app, "/", "").await;
    assert_eq!(full.status(), 200);
    let mut parser = Parser::default();
    parser.push(&frame(&mut full).await.unwrap());
    assert!(parser.retry.is_some());
    assert_eq!(frame(&mut full).await, None);
    assert_eq!(topic.counters().rejected, 2);
    drop(first);
    assert_eq!(topic.counters().clients, 1);
    let third = get(&app, "/?client=fetch", "").await;
    assert_eq!(third.status(), 200);
}

#[test]
fn bad_settings_are_errors_that_name_the_field() {
    let builder = Topic::builder;
    for (error, field) in [
        (builder().capacity(0).build().err(), "capacity"),
        (builder().max_bytes(0).build().err(), "max_bytes"),
        (builder().ttl(Duration::ZERO).build().err(), "ttl"),
        (builder().buffer(0).build().err(), "buffer"),
        (builder().buffer(4_001).build().err(), "buffer"),
        (builder().marks(0.8, 0.5).build().err(), "marks"),
        (builder().marks(0.5, 0.5).build().err(), "marks"),
        (builder().marks(f64::NAN, 0.5).build().err(), "marks"),
        (builder().marks(0.5, 1.1).build().err(), "marks"),
        (builder().overflow(Duration::ZERO).build().err(), "overflow"),
        (
            builder().heartbeat(Duration::ZERO).build().err(),
            "heartbeat",
        ),
        (builder().retry(Duration::ZERO).build().err(), "retry"),
        (
            builder().poll_every(Duration::ZERO).build().err(),
            "poll_every",
        ),
        (builder().poll_events(0).build().err(), "poll_events"),
        (builder().max_clients(0).build().err(), "max_clients"),
        (builder().coalesce(0).build().err(), "max_keys"),
        (builder().acknowledge(0).build().err(), "acknowledge"),
        (builder().acknowledge(1_001).build().err(), "acknowledge"),
        (
            builder().client_throttle(Throttle::builder()).build().err(),
            "client_throttle",
        ),
        (
            builder().ack_timeout(Duration::ZERO).build().err(),
            "ack_timeout",
        ),
    ] {
        let error: InvalidTopic = error.expect(field);
        assert!(error.to_string().starts_with(field), "{error}");
    }
    assert!(builder().ttl(DAY).build().is_ok());
}

#[tokio::test]
async fn an_event_without_a_key_is_never_replaced() {
    let topic = Topic::builder()
        .capacity(2)
        .buffer(2)
        .coalesce(10)
        .build()
        .unwrap();
    let cursor = Cursor {
        seq: 0,
        ..topic.cursor()
    }
    .to_string();
    for (key, data) in [(None, "0"), (Some("a"), "1"), (Some("a"), "2"), (None, "3")] {
        let mut event = SseEvent::new(data);
        if let Some(key) = key {
            event = event.key(key);
        }
        topic.publish(event).unwrap();
    }
    // The cursor is too old for the log, and the latest of each key are kept.
    let mut parser = Parser::default();
    let mut response = get(&topic.router(), "/poll", &cursor).await;
    parser.push(&frame(&mut response).await.unwrap());
    assert!(parser.named("reset").is_empty());
    let gap = r#"{"from":2,"to":2,"reason":"replaced"}"#;
    assert_eq!(parser.named("gap"), [gap]);
    assert_eq!(parser.messages(), [0, 2, 3]);
}
