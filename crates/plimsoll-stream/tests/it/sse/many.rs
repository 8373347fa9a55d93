//! Ten thousand clients.

use axum::body::Body;
use http::Response;
use plimsoll_stream::sse::{SseEvent, Topic};

use super::client::{Parser, read_ready, request};

const CLIENTS: usize = 10_000;
/// One client in a hundred reads nothing.
const STALLED_EVERY: usize = 100;
const ROUNDS: u64 = 24;
const EVENTS: u64 = 5;

#[tokio::test]
async fn ten_thousand_clients_get_all_events_beside_a_hundred_that_are_stalled() {
    // Fewer events than are published, so that stalled clients fall out of the log.
    let topic = Topic::builder().capacity(60).buffer(30).build().unwrap();
    let open = || topic.stream(&request("/", ""));
    let mut stalled: Vec<Response<Body>> = Vec::new();
    let mut others = Vec::new();
    for n in 0..CLIENTS {
        if n % STALLED_EVERY == 0 {
            stalled.push(open());
        } else {
            others.push((open(), Parser::default()));
        }
    }
    assert_eq!(topic.counters().clients, CLIENTS);
    for round in 0..ROUNDS {
        for n in 1..=EVENTS {
            let event = SseEvent::new(&(round * EVENTS + n).to_string());
            topic.publish(event).unwrap();
        }
        for (response, parser) in &mut others {
            assert!(read_ready(response, parser).await);
        }
    }
    let all: Vec<u64> = (1..=ROUNDS * EVENTS).collect();
    for (_, parser) in &others {
        assert_eq!(parser.messages(), all);
        assert!(parser.named("gap").is_empty() && parser.named("flow").is_empty());
    }
    // Those that were stalled cost nothing more than their place: they get what is kept.
    for response in &mut stalled {
        let mut parser = Parser::default();
        assert!(read_ready(response, &mut parser).await);
        assert_eq!(
            parser.named("gap"),
            [r#"{"from":1,"to":60,"reason":"oldest"}"#]
        );
        assert_eq!(parser.messages(), all[60..]);
    }
    assert_eq!(topic.counters().hub.missed, 100 * 60);
    drop((stalled, others));
    assert_eq!(topic.counters().clients, 0);
}
