//! Reconnecting streams.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use plimsoll_client::{Backoff, Jitter, Reconnect, Reconnecting};
use proptest::prelude::*;

use crate::ms;

fn reconnect() -> Reconnect {
    let backoff = Backoff::new(ms(100), ms(1000)).unwrap();
    Reconnect::new(backoff.jitter(Jitter::Equal))
}

fn wait(next: Reconnecting) -> Duration {
    match next {
        Reconnecting::After(wait) => wait,
        other => panic!("{other:?}"),
    }
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let line = |(name, value): &(&'static str, &'static str)| {
        (http::HeaderName::from_static(name), value.parse().unwrap())
    };
    lines.iter().map(line).collect()
}

#[test]
fn waits_grow_until_an_event_arrives() {
    let mut client = reconnect();
    for most in [100, 200, 400, 800, 1000, 1000] {
        let wait = wait(client.ended());
        assert!(wait >= ms(most) / 2 && wait <= ms(most), "{wait:?}");
    }
    // Comments keep a connection alive and prove nothing; an event does.
    assert_eq!(client.received(b": hello\n\n"), 0);
    assert!(wait(client.ended()) >= ms(500));
    assert_eq!(client.received(b"data: x\n\n"), 1);
    assert!(wait(client.ended()) <= ms(100));
}

#[test]
fn the_last_whole_event_is_sent_back() {
    let mut client = reconnect();
    let sent = |client: &Reconnect| {
        let mut headers = HeaderMap::new();
        client.write_headers(&mut headers);
        headers
            .get("last-event-id")
            .map(|id| id.to_str().unwrap().to_owned())
    };
    assert_eq!(sent(&client), None);
    client.received(b"id: 1\r\ndata: a\r\n\r\nid:2\rdata: b\r\rid: 3\ndata: not whole");
    assert_eq!(sent(&client).as_deref(), Some("2"));
    let stream = headers(&[("content-type", "text/event-stream; charset=utf-8")]);
    assert_eq!(client.response(StatusCode::OK, &stream), Reconnecting::Open);
    client.received(b"\n\n");
    assert_eq!(
        sent(&client).as_deref(),
        Some("2"),
        "half an event is discarded"
    );
    client.received(b"id: with\0nul\ndata\n\n");
    assert_eq!(sent(&client).as_deref(), Some("2"));
    client.received(b"id\ndata\n\n");
    assert_eq!(sent(&client), None, "an empty id clears the position");
    assert_eq!(sent(&reconnect().from_event("9")).as_deref(), Some("9"));
}

#[test]
fn the_field_retry_is_a_lower_bound() {
    let mut client = reconnect();
    client.received(b"retry: 5000\n\nretry: 1000x\nretry: -1\nretry:\n\n");
    let first = wait(client.ended());
    assert!(first >= ms(5000) && first <= ms(5500), "{first:?}");
}

#[test]
fn responses_open_end_for_good_or_are_tried_again() {
    let stream = headers(&[("content-type", "text/event-stream")]);
    for status in [201, 204, 301, 400, 401, 404, 410] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(
            reconnect().response(status, &stream),
            Reconnecting::Stop,
            "{status}"
        );
    }
    let html = headers(&[("content-type", "text/html")]);
    assert_eq!(
        reconnect().response(StatusCode::OK, &html),
        Reconnecting::Stop
    );
    for status in [408, 429, 500, 503] {
        let status = StatusCode::from_u16(status).unwrap();
        assert!(
            wait(reconnect().response(status, &HeaderMap::new())) <= ms(100),
            "{status}"
        );
        let asked = headers(&[("retry-after", "7")]);
        let wait = wait(reconnect().response(status, &asked));
        assert!(wait >= ms(7000) && wait <= ms(7700), "{wait:?}");
    }
}

#[test]
fn close_codes_of_websockets_decide() {
    for code in [
        None,
        Some(1001),
        Some(1006),
        Some(1011),
        Some(1012),
        Some(1014),
    ] {
        assert!(wait(reconnect().closed(code)) <= ms(100), "{code:?}");
    }
    let later = wait(reconnect().closed(Some(1013)));
    assert!(later >= ms(1000) && later <= ms(1100), "{later:?}");
    for code in [1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 4000] {
        assert_eq!(reconnect().closed(Some(code)), Reconnecting::Stop, "{code}");
    }
}

#[test]
fn a_line_without_an_end_takes_no_memory() {
    let mut client = reconnect();
    for _ in 0..1000 {
        client.received(&[b'x'; 1000]);
    }
    assert!(format!("{client:?}").len() < 20_000);
    client.received(b"\nid: 5\ndata: y\n\n");
    assert_eq!(client.last_event_id(), Some(&b"5"[..]));
}

proptest! {
    #[test]
    fn bytes_in_pieces_are_read_as_in_one(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(0), b'a'..=b'z', b'0'..=b'9'], 0..200),
        fields in proptest::collection::vec(prop_oneof![Just("id:"), Just("retry:"), Just("data:"), Just("\n\n")], 0..20),
        piece in 1..10_usize,
    ) {
        let mut text = bytes;
        for (n, field) in fields.iter().enumerate() {
            let at = (n * 7919) % (text.len() + 1);
            text.splice(at..at, field.bytes());
        }
        let (mut whole, mut pieces) = (reconnect(), reconnect());
        let events = whole.received(&text);
        let sum: usize = text.chunks(piece).map(|piece| pieces.received(piece)).sum();
        prop_assert_eq!(events, sum);
        prop_assert_eq!(whole.last_event_id(), pieces.last_event_id());
        let mut headers = HeaderMap::new();
        whole.write_headers(&mut headers);
    }
}
