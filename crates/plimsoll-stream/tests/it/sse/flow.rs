//! Clients that are slow.

use std::time::Duration;

use axum::body::Body;
use http::Response;
use plimsoll_stream::{
    Quota, Throttle,
    sse::{SseEvent, Topic, TopicBuilder},
};
use tokio::time::advance;

use super::client::{Parser, frame, get, read_ready};

const PAUSE: &str = r#"{"event":"flow.pause","reason":"buffer full"}"#;
const RESUME: &str = r#"{"event":"flow.resume"}"#;

/// A buffer of 100 events: marks at 50 and 80.
fn builder() -> TopicBuilder {
    Topic::builder().capacity(1_000).buffer(100).poll_events(40)
}

fn publish(topic: &Topic, events: u64) {
    for _ in 0..events {
        let n = topic.cursor().seq + 1;
        topic.publish(SseEvent::new(&n.to_string())).unwrap();
    }
}

async fn open(topic: &Topic) -> Response<Body> {
    let mut response = get(&topic.router(), "/", "").await;
    frame(&mut response).await.unwrap();
    response
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_when_it_is_slow_and_when_it_has_caught_up() {
    let topic = builder().build().unwrap();
    let mut response = open(&topic).await;
    let mut parser = Parser::default();
    publish(&topic, 80);
    assert!(read_ready(&mut response, &mut parser).await);
    assert!(
        parser.named("flow").is_empty(),
        "at the mark is not above it"
    );
    publish(&topic, 81);
    parser.push(&frame(&mut response).await.unwrap());
    assert_eq!(parser.named("flow"), [PAUSE]);
    assert!(read_ready(&mut response, &mut parser).await);
    publish(&topic, 1);
    assert!(read_ready(&mut response, &mut parser).await);
    assert_eq!(parser.named("flow"), [PAUSE, RESUME]);
    assert_eq!(
        parser.messages(),
        (1..=162).collect::<Vec<_>>(),
        "nothing is lost"
    );
    let counters = topic.counters();
    assert_eq!((counters.pauses, counters.resumes), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_behind_gets_more_events_in_a_frame() {
    let topic = builder().build().unwrap();
    let mut response = open(&topic).await;
    let event = SseEvent::new(&"x".repeat(1_000));
    for (events, frames) in [(40, 5..=6), (60, 1..=1)] {
        for _ in 0..events {
            topic.publish(event.clone()).unwrap();
        }
        let mut count = 0;
        while let Some(Some(Ok(_))) =
            futures_util::FutureExt::now_or_never(http_body_util::BodyExt::frame(&mut response))
        {
            count += 1;
        }
        assert!(frames.contains(&count), "{events} events in {count} frames");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stays_on_the_overflow_is_moved_to_polling_and_comes_back() {
    let topic = builder().build().unwrap();
    let app = topic.router();
    let mut response = open(&topic).await;
    let mut parser = Parser::default();
    // Reads one frame a second, of which each is wide, and falls further behind.
    let event = SseEvent::new(&"1".repeat(10));
    for second in 0..7 {
        for _ in 0..130 {
            topic.publish(event.clone()).unwrap();
        }
        if second == 0 {
            parser.push(&frame(&mut response).await.unwrap());
            for _ in 0..700 {
                topic.publish(event.clone()).unwrap();
            }
            continue;
        }
        advance(Duration::from_secs(1)).await;
    }
    let mut end = Parser::default();
    while let Some(bytes) = frame(&mut response).await {
        end.push(&bytes);
    }
    drop(response);
    // The client was not read for six seconds, but was over its buffer when it was last seen.
    let flow = end.named("flow");
    assert!(
        flow.iter().any(|flow| flow.contains("flow.poll")),
        "{flow:?}"
    );
    let retry = end.retry.unwrap();
    assert!((2_000..2_500).contains(&retry), "{retry}");
    assert_eq!(topic.counters().moved_slow, 1);

    // The browser comes back with its id, again and again, until it has caught up.
    let mut last_id = if end.last_id.is_empty() {
        parser.last_id
    } else {
        end.last_id
    };
    let mut polls = 0;
    loop {
        let mut parser = Parser::default();
        let mut response = get(&app, "/", &last_id).await;
        let is_open = read_ready(&mut response, &mut parser).await;
        last_id = parser.last_id.clone();
        if is_open {
            break;
        }
        assert!(parser.retry.unwrap() >= 2_000);
        // Polling is the last step: the client is neither notified nor moved once more.
        assert!(parser.named("flow").is_empty(), "{:?}", parser.events);
        polls += 1;
        assert!(polls < 100);
    }
    assert!(polls > 5, "{polls} polls");
    assert_eq!(
        (topic.counters().moved_slow, topic.counters().returned),
        (1, 1)
    );
    assert_eq!(last_id, topic.cursor().to_string());
}

#[tokio::test(start_paused = true)]
async fn times_of_clients_that_were_moved_together_differ() {
    let topic = builder().max_clients(1).build().unwrap();
    let _only = open(&topic).await;
    let mut times = std::collections::HashSet::new();
    for _ in 0..50 {
        let mut response = get(&topic.router(), "/", "").await;
        let mut parser = Parser::default();
        parser.push(&frame(&mut response).await.unwrap());
        times.insert(parser.retry.unwrap());
    }
    assert!(times.len() > 10, "{} times", times.len());
    assert!(times.iter().all(|time| (2_000..=2_500).contains(time)));
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_announced_with_its_numbers() {
    let topic = builder().build().unwrap();
    let mut response = open(&topic).await;
    publish(&topic, 1_500);
    let mut parser = Parser::default();
    read_ready(&mut response, &mut parser).await;
    assert_eq!(
        parser.named("gap"),
        [r#"{"from":1,"to":500,"reason":"oldest"}"#]
    );
    assert_eq!(parser.messages(), (501..=1_500).collect::<Vec<_>>());
    assert_eq!(topic.counters().hub.missed, 500);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_misses_events_gets_the_latest_of_each_key() {
    let topic = builder().coalesce(10).build().unwrap();
    let mut response = open(&topic).await;
    topic.publish(SseEvent::new("7").key("rare")).unwrap();
    for n in 0..1_500 {
        topic
            .publish(SseEvent::new(&n.to_string()).key("often"))
            .unwrap();
    }
    let mut parser = Parser::default();
    read_ready(&mut response, &mut parser).await;
    assert_eq!(parser.messages(), [7, 1_499]);
    assert_eq!(
        parser.named("gap"),
        [r#"{"from":2,"to":1500,"reason":"replaced"}"#]
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_events_at_its_rate_and_all_clients_at_theirs() {
    let all = Throttle::builder().events(Quota::per_second(30).burst(10));
    let all = all.build().unwrap();
    let own = Throttle::builder().events(Quota::per_second(20).burst(5));
    let topic = builder()
        .client_throttle(own)
        .throttle(&all)
        .build()
        .unwrap();
    let (mut first, mut second) = (open(&topic).await, open(&topic).await);
    publish(&topic, 40);
    let (mut one, mut other) = (Parser::default(), Parser::default());
    let mut seen = Vec::new();
    for _ in 0..=1_000 {
        read_ready(&mut first, &mut one).await;
        read_ready(&mut second, &mut other).await;
        seen.push(one.messages().len() + other.messages().len());
        advance(Duration::from_millis(1)).await;
    }
    assert_eq!(seen[0], 10, "a burst of 5 each");
    assert!((36..=40).contains(&seen[1_000]), "{}", seen[1_000]);
    assert!(one.messages().len() <= 25 && other.messages().len() <= 25);
}

#[tokio::test(start_paused = true)]
async fn a_poll_beyond_the_rate_of_all_is_a_429_with_the_time_to_come_back() {
    let all = Throttle::builder().events(Quota::per_second(1).burst(3));
    let topic = builder().throttle(&all.build().unwrap()).build().unwrap();
    let app = topic.router();
    let start = topic.cursor().to_string();
    publish(&topic, 5);
    let response = get(&app, "/poll", &start).await;
    assert_eq!(response.headers()["x-stream-more"], "true");
    let after = response.headers()["x-stream-cursor"]
        .to_str()
        .unwrap()
        .to_owned();
    let mut parser = Parser::default();
    let mut response = response;
    parser.push(&frame(&mut response).await.unwrap());
    assert_eq!(parser.messages(), [1, 2, 3]);
    let response = get(&app, "/poll", &after).await;
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers()["x-stream-pause"], "true");
    assert_eq!(response.headers()["retry-after"], "1");
    advance(Duration::from_secs(1)).await;
    let mut response = get(&app, "/poll", &after).await;
    parser.push(&frame(&mut response).await.unwrap());
    assert_eq!(parser.messages(), [1, 2, 3, 4]);
}
