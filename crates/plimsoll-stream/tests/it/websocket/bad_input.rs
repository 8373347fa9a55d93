//! Clients that break the protocol or its limits.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    slow::{frame, raw},
    *,
};

/// Sends bytes as a client, and returns the code of the close frame and the reason that is counted.
async fn closed_after(
    sockets: &WebSockets,
    addr: SocketAddr,
    bytes: &[u8],
    reason: CloseReason,
) -> u16 {
    let before = sockets.closed(reason);
    let mut client = raw(addr).await;
    // The server may close while it is written.
    _ = client.write_all(bytes).await;
    let mut received = Vec::new();
    let end = timeout(PATIENCE, client.read_to_end(&mut received))
        .await
        .expect("is closed");
    until(|| sockets.closed(reason) == before + 1).await;
    end.unwrap();
    let close = received
        .windows(2)
        .rposition(|head| head[0] == 0x88)
        .expect("a close frame");
    u16::from_be_bytes([received[close + 2], received[close + 3]])
}

/// What a client sends, why it is closed, and the code.
fn bad_input() -> Vec<(&'static str, Vec<u8>, CloseReason, u16)> {
    let pings = frame(9, b"?").repeat(11);
    let pongs = frame(10, b"?").repeat(11);
    let flows = frame(1, br#"{"event":"flow.resume"}"#).repeat(11);
    let text = |text: &[u8]| frame(1, text);
    let fragment = |first: u8, payload: &[u8]| {
        let mut fragment = frame(first, payload);
        fragment[0] &= 0x0f;
        fragment
    };
    let many_fragments = {
        let mut all = fragment(1, &[b'x'; 100]);
        all.extend(fragment(0, &[b'x'; 100]).repeat(10));
        all
    };
    let long_ping = {
        let mut ping = vec![0x89, 0xfe, 0, 200, 0, 0, 0, 0];
        ping.extend([0; 200]);
        ping
    };
    let huge = [
        0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
    ];
    vec![
        ("ping flood", pings, CloseReason::ControlFlood, 1008),
        ("pong flood", pongs, CloseReason::ControlFlood, 1008),
        (
            "flood of flow messages",
            flows,
            CloseReason::ControlFlood,
            1008,
        ),
        (
            "unknown flow event",
            text(br#"{"event":"flow.x"}"#),
            CloseReason::MalformedFlow,
            1008,
        ),
        (
            "cut flow message",
            text(br#"{"event":"flow.pause""#),
            CloseReason::MalformedFlow,
            1008,
        ),
        (
            "gap of a client",
            text(br#"{"event":"flow.gap","from":0}"#),
            CloseReason::MalformedFlow,
            1008,
        ),
        (
            "frame of 2^63 bytes",
            huge.to_vec(),
            CloseReason::TooLarge,
            1009,
        ),
        (
            "frame of 1001 bytes",
            vec![0x82, 0xfe, 3, 0xe9, 0, 0, 0, 0],
            CloseReason::TooLarge,
            1009,
        ),
        (
            "message of 1100 bytes",
            many_fragments,
            CloseReason::TooLarge,
            1009,
        ),
        (
            "unmasked frame",
            vec![0x81, 1, b'x'],
            CloseReason::Protocol,
            1002,
        ),
        (
            "reserved bits",
            vec![0xf1, 0x81, 0, 0, 0, 0, b'x'],
            CloseReason::Protocol,
            1002,
        ),
        ("unknown opcode", frame(5, b""), CloseReason::Protocol, 1002),
        (
            "continuation of nothing",
            frame(0, b""),
            CloseReason::Protocol,
            1002,
        ),
        (
            "fragmented ping",
            fragment(9, b""),
            CloseReason::Protocol,
            1002,
        ),
        ("long ping", long_ping, CloseReason::Protocol, 1002),
        ("invalid UTF-8", text(&[0xff]), CloseReason::Protocol, 1002),
    ]
}

#[tokio::test]
async fn bad_input_is_closed_with_a_code_and_counted() {
    let sockets = limits(4, QueuePolicy::BLOCK)
        .max_message_bytes(1000)
        .control_frames(10, Duration::from_secs(3600))
        .close_deadline(Duration::from_millis(300))
        .build()
        .unwrap();
    let addr = serve(&sockets, |client| async move {
        while client.recv().await.is_some() {}
    })
    .await;

    for (name, bytes, reason, code) in bad_input() {
        let got = closed_after(&sockets, addr, &bytes, reason).await;
        assert_eq!(got, code, "{name}");
    }
    until(|| sockets.open() == 0).await;
    let all: u64 = CloseReason::ALL
        .iter()
        .map(|reason| sockets.closed(*reason))
        .sum();
    assert_eq!(all, sockets.accepted(), "each connection has one reason");
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_counted_as_lost() {
    let sockets = limits(4, QueuePolicy::BLOCK).build().unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    drop(raw(addr).await);
    let client = clients.recv().await.unwrap();
    assert!(client.recv().await.is_none());
    assert_eq!(client.closed().await.reason, CloseReason::Lost);
    let reset = raw(addr).await;
    socket2::SockRef::from(&reset)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(reset);
    until(|| sockets.closed(CloseReason::Lost) == 2).await;
    drop(client);
    until(|| sockets.open() == 0).await;
}

#[test]
fn settings_out_of_bounds_name_the_setting_and_the_bound() {
    let valid = || limits(10, QueuePolicy::DropOldest);
    let ms = Duration::from_millis;
    let cases = [
        (
            limits(0, QueuePolicy::DropOldest),
            "capacity must be at least 1 item, got 0",
        ),
        (
            valid().max_bytes(0),
            "max_bytes must be at least 1 byte, got 0",
        ),
        (
            limits(
                1,
                QueuePolicy::DropExpired {
                    ttl: Duration::ZERO,
                },
            ),
            "ttl must be longer than 0, got 0",
        ),
        (
            limits(1, QueuePolicy::Coalesce),
            "policy coalesce needs `key`, which is not set",
        ),
        (
            valid().marks(0.9, 0.8),
            "marks must be 0 <= low < high <= 1, got low 0.9 and high 0.8",
        ),
        (
            valid().marks(0.5, f64::NAN),
            "marks must be 0 <= low < high <= 1, got low 0.5 and high NaN",
        ),
        (
            valid().write_deadline(Duration::ZERO),
            "write_deadline must be in 1 ms..=24 h, got 0ns",
        ),
        (
            valid().close_deadline(ms(86_400_001)),
            "close_deadline must be in 1 ms..=24 h, got 86400.001s",
        ),
        (
            valid().over_mark(Some(ms(0))),
            "over_mark must be in 1 ms..=24 h, got 0ns",
        ),
        (
            valid().ping_every(Some(ms(0))),
            "ping_every must be in 1 ms..=24 h, got 0ns",
        ),
        (
            valid().silence_limit(Some(ms(15_000))),
            "silence_limit must be longer than ping_every (15s), got 15s",
        ),
        (
            valid().control_frames(0, ms(1)),
            "control_frames must be in 1..=1048576, got 0",
        ),
        (
            valid().inbound(0, 1 << 20),
            "inbound_messages must be in 1..=1048576, got 0",
        ),
        (
            valid().inbound(1, 1000),
            "inbound_bytes must be in 65600..=1073741824, got 1000",
        ),
        (
            valid().max_message_bytes(124),
            "max_message_bytes must be in 125..=536870912, got 124",
        ),
        (
            valid().buffers(127, 128),
            "read_buffer must be in 128..=16777216, got 127",
        ),
        (
            valid().buffers(128, 127),
            "write_buffer must be in 128..=16777216, got 127",
        ),
        (
            valid().max_bytes(10).hard_bytes(Some(11)),
            "hard_bytes must be in 1..=10, got 11",
        ),
        (
            valid().max_connections(0),
            "max_connections must be in 1..=1048576, got 0",
        ),
        (
            valid().slow_code(1000),
            "slow_code must be 1013 or in 4000..=4999, got 1000",
        ),
    ];
    for (limits, message) in cases {
        assert_eq!(limits.build().unwrap_err().to_string(), message);
    }
    assert!(valid().build().is_ok());
}
