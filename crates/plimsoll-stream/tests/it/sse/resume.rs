//! Clients that come back.

use axum::Router;
use http_body_util::BodyExt;
use plimsoll_stream::{
    Cursor,
    sse::{SseEvent, Topic},
};
use proptest::prelude::*;

use super::client::{Parser, frame, get, read_ready};

fn publish(topic: &Topic, events: std::ops::RangeInclusive<u64>) {
    for n in events {
        topic.publish(SseEvent::new(&n.to_string())).unwrap();
    }
}

fn id(topic: &Topic, seq: u64) -> String {
    Cursor {
        seq,
        ..topic.cursor()
    }
    .to_string()
}

/// Reads from an id on what there is.
async fn read(app: &Router, last_id: &str) -> Parser {
    let mut parser = Parser::default();
    let mut response = get(app, "/", last_id).await;
    read_ready(&mut response, &mut parser).await;
    parser
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_is_resumed_with_each_event_exactly_once() {
    let topic = Topic::builder().build().unwrap();
    let app = topic.router();
    let start = id(&topic, 0);
    publish(&topic, 1..=20);
    let mut response = get(&app, "/", &start).await;
    let recorded = frame(&mut response).await.unwrap();
    let all: Vec<u64> = (1..=20).collect();
    for cut in 0..=recorded.len() {
        let mut before = Parser::default();
        before.push(&recorded[..cut]);
        let last_id = if before.last_id.is_empty() {
            start.clone()
        } else {
            before.last_id.clone()
        };
        let after = read(&app, &last_id).await;
        assert!(after.named("reset").is_empty());
        let both: Vec<_> = before
            .messages()
            .into_iter()
            .chain(after.messages())
            .collect();
        assert_eq!(both, all, "cut at byte {cut}");
    }
}

#[tokio::test]
async fn an_id_of_no_use_gets_a_reset_with_from_and_to() {
    let topic = Topic::builder()
        .capacity(10)
        .buffer(10)
        .epoch(7)
        .build()
        .unwrap();
    let app = topic.router();
    publish(&topic, 1..=90);
    let other = Topic::builder().build().unwrap();
    let oversized = "7".repeat(4_000);
    for (last_id, reason, from) in [
        (id(&topic, 79), "too_old", 79),
        (id(&topic, 91), "not_published", 91),
        (id(&topic, u64::MAX), "not_published", u64::MAX),
        (id(&other, 85), "unknown_epoch", 85),
        ("garbage".to_owned(), "unknown_epoch", 0),
        (oversized, "unknown_epoch", 0),
        ("0000000000000007.-1".to_owned(), "unknown_epoch", 0),
    ] {
        let parser = read(&app, &last_id).await;
        let due = format!(r#"{{"reason":"{reason}","from":{from},"to":80}}"#);
        assert_eq!(parser.named("reset"), [due.as_str()]);
        // It comes first, with an id to continue from.
        assert_eq!(parser.events[0].id, id(&topic, 80));
        assert_eq!(parser.messages(), (81..=90).collect::<Vec<_>>());
    }
    assert_eq!(topic.counters().hub.replay_misses, 7);
}

#[tokio::test]
async fn the_poll_endpoint_continues_a_stream_and_a_stream_continues_a_poll() {
    let topic = Topic::builder().poll_events(4).build().unwrap();
    let app = topic.router();
    let mut after = id(&topic, 0);
    publish(&topic, 1..=10);
    let mut all = Vec::new();
    for more in ["true", "true", "false"] {
        let response = get(&app, &format!("/poll?after={after}"), "").await;
        assert_eq!(response.headers()["x-stream-more"], more);
        after = response.headers()["x-stream-cursor"]
            .to_str()
            .unwrap()
            .to_owned();
        let mut parser = Parser::default();
        parser.push(&response.into_body().collect().await.unwrap().to_bytes());
        all.extend(parser.messages());
        assert_eq!(parser.last_id, after);
    }
    publish(&topic, 11..=12);
    all.extend(read(&app, &after).await.messages());
    assert_eq!(all, (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reset_on_the_poll_endpoint_is_explicit_too() {
    let topic = Topic::builder().build().unwrap();
    publish(&topic, 1..=3);
    let response = get(&topic.router(), "/poll?after=nonsense", "").await;
    let mut parser = Parser::default();
    parser.push(&response.into_body().collect().await.unwrap().to_bytes());
    assert_eq!(
        parser.named("reset"),
        [r#"{"reason":"unknown_epoch","from":0,"to":0}"#]
    );
    assert_eq!(parser.messages(), [1, 2, 3]);
}

#[derive(Debug, Clone)]
enum Op {
    Publish(u8),
    Poll,
    /// Opens a stream, reads `frames`, and cuts the last one after `cut` bytes.
    Stream {
        frames: u8,
        cut: u16,
    },
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn streams_and_polls_in_any_order_are_contiguous(
        ops in prop::collection::vec(prop_oneof![
            (1_u8..60).prop_map(Op::Publish),
            Just(Op::Poll),
            (0_u8..4, any::<u16>()).prop_map(|(frames, cut)| Op::Stream { frames, cut }),
        ], 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.unwrap().block_on(flap(ops));
    }
}

async fn flap(ops: Vec<Op>) {
    let topic = Topic::builder().buffer(50).poll_events(20).build().unwrap();
    let app = topic.router();
    let (mut last_id, mut published, mut all) = (id(&topic, 0), 0, Vec::new());
    for op in ops.into_iter().chain(std::iter::repeat_n(Op::Poll, 200)) {
        match op {
            Op::Publish(n) => {
                publish(&topic, published + 1..=published + u64::from(n));
                published += u64::from(n);
            }
            Op::Poll => {
                let response = get(&app, &format!("/poll?after={last_id}"), "").await;
                let mut parser = Parser::default();
                parser.push(&response.into_body().collect().await.unwrap().to_bytes());
                all.extend(parser.messages());
                last_id = parser.last_id;
            }
            Op::Stream { frames, cut } => {
                let mut parser = Parser::default();
                let mut response = get(&app, "/", &last_id).await;
                for n in 0..=frames {
                    let next = futures_util::FutureExt::now_or_never(response.frame()).flatten();
                    let Some(Ok(frame)) = next else { break };
                    let bytes = frame.into_data().unwrap();
                    let len = if n == frames {
                        usize::from(cut) % (bytes.len() + 1)
                    } else {
                        bytes.len()
                    };
                    parser.push(&bytes[..len]);
                }
                assert!(parser.named("gap").is_empty() && parser.named("reset").is_empty());
                all.extend(parser.messages());
                if !parser.last_id.is_empty() {
                    last_id = parser.last_id;
                }
            }
        }
    }
    assert_eq!(all, (1..=published).collect::<Vec<_>>());
}
