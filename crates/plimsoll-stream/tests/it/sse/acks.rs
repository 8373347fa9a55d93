//! Clients that acknowledge.

use std::time::Duration;

use axum::{Router, body::Body};
use http::{Request, Response, StatusCode};
use plimsoll_stream::{
    Cursor,
    sse::{AckError, SseEvent, Topic},
};
use tower::ServiceExt;

use super::client::{Parser, frame, get, read_ready};

async fn ack(app: &Router, connection: &str, body: String) -> StatusCode {
    let request = Request::post(format!("/ack?connection={connection}"));
    let request = request.body(Body::from(body)).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

fn topic() -> Topic {
    Topic::builder().acknowledge(3).build().unwrap()
}

fn publish(topic: &Topic, events: u64) {
    for n in 1..=events {
        topic.publish(SseEvent::new(&n.to_string())).unwrap();
    }
}

async fn open(topic: &Topic, parser: &mut Parser) -> (Response<Body>, String) {
    let mut response = get(&topic.router(), "/", "").await;
    parser.push(&frame(&mut response).await.unwrap());
    let open = parser.named("open")[0].to_owned();
    let id = open.split('"').nth(3).unwrap().to_owned();
    assert_eq!(open, format!(r#"{{"connection":"{id}","window":3}}"#));
    (response, id)
}

#[tokio::test(start_paused = true)]
async fn at_most_a_window_beyond_the_last_acknowledgement_is_sent() {
    let (topic, mut parser) = (topic(), Parser::default());
    let app = topic.router();
    let (mut response, connection) = open(&topic, &mut parser).await;
    publish(&topic, 10);
    read_ready(&mut response, &mut parser).await;
    assert_eq!(parser.messages(), [1, 2, 3]);
    for acked in 1..=9 {
        let cursor = Cursor {
            seq: acked,
            ..topic.cursor()
        };
        assert_eq!(ack(&app, &connection, cursor.to_string()).await, 204);
        read_ready(&mut response, &mut parser).await;
        assert_eq!(parser.messages().len() as u64, (acked + 3).min(10));
    }
    assert_eq!(parser.messages(), (1..=10).collect::<Vec<_>>());
    assert_eq!(topic.counters().acks, 9);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_wakes_a_stream_that_waits() {
    let (topic, mut parser) = (topic(), Parser::default());
    let (mut response, connection) = open(&topic, &mut parser).await;
    publish(&topic, 4);
    read_ready(&mut response, &mut parser).await;
    let waits = tokio::spawn(async move { frame(&mut response).await });
    tokio::task::yield_now().await;
    topic
        .acknowledge(
            &connection,
            Cursor {
                seq: 1,
                ..topic.cursor()
            },
        )
        .unwrap();
    parser.push(&waits.await.unwrap().unwrap());
    assert_eq!(parser.messages(), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn bad_acknowledgements_are_refused_and_change_nothing() {
    let (topic, mut parser) = (topic(), Parser::default());
    let app = topic.router();
    let (mut response, connection) = open(&topic, &mut parser).await;
    publish(&topic, 5);
    read_ready(&mut response, &mut parser).await;
    let id = |seq| {
        Cursor {
            seq,
            ..topic.cursor()
        }
        .to_string()
    };
    let other = Cursor {
        epoch: topic.cursor().epoch ^ 1,
        seq: 1,
    }
    .to_string();
    for (body, status) in [
        (id(4), 409),
        (id(u64::MAX), 409),
        (other, 409),
        (String::new(), 400),
        ("7".to_owned(), 400),
        ("x".repeat(64), 400),
        ("x".repeat(65), 413),
    ] {
        assert_eq!(ack(&app, &connection, body.clone()).await, status, "{body}");
    }
    // Another client's connection cannot be guessed, and none of another topic is known.
    assert_eq!(
        ack(&app, "0123456789abcdef0123456789abcdef", id(3)).await,
        404
    );
    assert_eq!(ack(&app, "", id(3)).await, 404);
    read_ready(&mut response, &mut parser).await;
    assert_eq!(parser.messages(), [1, 2, 3], "the window is as it was");
    // The same again, and backwards.
    for seq in [2, 2, 1, 0, 2] {
        assert_eq!(ack(&app, &connection, id(seq)).await, 204);
    }
    read_ready(&mut response, &mut parser).await;
    assert_eq!(parser.messages(), [1, 2, 3, 4, 5]);
    drop(response);
    let cursor = Cursor {
        seq: 3,
        ..topic.cursor()
    };
    assert_eq!(
        topic.acknowledge(&connection, cursor),
        Err(AckError::UnknownConnection)
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_acknowledge_is_moved_to_polling() {
    let topic = Topic::builder()
        .acknowledge(3)
        .ack_timeout(Duration::from_secs(20));
    let (topic, mut parser) = (topic.build().unwrap(), Parser::default());
    let (mut response, _) = open(&topic, &mut parser).await;
    publish(&topic, 5);
    read_ready(&mut response, &mut parser).await;
    let start = tokio::time::Instant::now();
    let mut heartbeats = 0;
    while let Some(bytes) = frame(&mut response).await {
        heartbeats += usize::from(bytes == b":\n\n");
        parser.push(&bytes);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(20));
    assert_eq!(heartbeats, 1);
    let flow = parser.named("flow");
    assert!(
        flow[0].contains(r#""reason":"no acknowledgement""#),
        "{flow:?}"
    );
    assert!(
        flow[0].contains(
            &Cursor {
                seq: 3,
                ..topic.cursor()
            }
            .to_string()
        )
    );
    assert_eq!(topic.counters().moved_ack_timeout, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_all_events_need_not_acknowledge_at_once() {
    let (topic, mut parser) = (topic(), Parser::default());
    let (mut response, _) = open(&topic, &mut parser).await;
    publish(&topic, 3);
    read_ready(&mut response, &mut parser).await;
    for _ in 0..5 {
        assert_eq!(frame(&mut response).await.unwrap(), b":\n\n");
    }
    assert_eq!(topic.counters().moved_ack_timeout, 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_to_acknowledge_begins_with_the_first_event_that_waits() {
    let topic = Topic::builder().acknowledge(3);
    let topic = topic.ack_timeout(Duration::from_secs(5)).build().unwrap();
    let mut parser = Parser::default();
    let (mut response, _) = open(&topic, &mut parser).await;
    publish(&topic, 3);
    read_ready(&mut response, &mut parser).await;
    let publisher = topic.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(4)).await;
        publish(&publisher, 1);
    });
    let start = tokio::time::Instant::now();
    while let Some(bytes) = frame(&mut response).await {
        parser.push(&bytes);
    }
    assert_eq!(start.elapsed(), Duration::from_secs(9));
    assert_eq!(topic.counters().moved_ack_timeout, 1);
}

#[tokio::test(start_paused = true)]
async fn a_gap_does_not_close_the_window() {
    let topic = Topic::builder().acknowledge(3).capacity(4).buffer(4);
    let (topic, mut parser) = (topic.build().unwrap(), Parser::default());
    let (mut response, connection) = open(&topic, &mut parser).await;
    publish(&topic, 100);
    read_ready(&mut response, &mut parser).await;
    assert_eq!(
        parser.named("gap"),
        [r#"{"from":1,"to":96,"reason":"oldest"}"#]
    );
    assert_eq!(parser.messages(), [97, 98, 99]);
    topic
        .acknowledge(
            &connection,
            Cursor {
                seq: 97,
                ..topic.cursor()
            },
        )
        .unwrap();
    read_ready(&mut response, &mut parser).await;
    assert_eq!(parser.messages(), [97, 98, 99, 100]);
}
