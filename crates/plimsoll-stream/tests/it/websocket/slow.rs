//! Clients that are slow, silent or stalled.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use plimsoll_stream::{DropReason, Fate, SendError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::Instant,
};

use super::*;

/// A client that completes the handshake and then does nothing by itself.
pub(super) async fn raw(addr: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream
}

/// A frame of a client, masked with zeros.
pub(super) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    let mut frame = vec![0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn a_client_that_reads_nothing_blocks_its_sender_early_and_is_closed_at_the_deadline() {
    let (write, close) = (Duration::from_millis(800), Duration::from_millis(300));
    let sockets = limits(4, QueuePolicy::BLOCK)
        .write_deadline(write)
        .close_deadline(close)
        .over_mark(None)
        .build()
        .unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let addr = serve(&sockets, move |client| {
        let count = Arc::clone(&count);
        async move {
            while client.send(vec![b'x'; 1024]).await.is_ok() {
                count.fetch_add(1024, SeqCst);
            }
            assert_eq!(client.closed().await.reason, CloseReason::WriteDeadline);
        }
    })
    .await;
    let mut healthy = connect(addr).await;
    let stalled = raw(addr).await;
    let started = Instant::now();
    // The neighbour is served all the time.
    let mut received = 0;
    while sockets.closed(CloseReason::WriteDeadline) == 0 {
        // Flow messages come in between.
        received += usize::from(next(&mut healthy).await.is_binary());
        assert!(started.elapsed() < PATIENCE);
    }
    assert!(started.elapsed() >= write);
    assert!(received > 100);
    drop(healthy);
    until(|| sockets.open() == 0).await;
    assert!(
        started.elapsed() < (write + close) * 4,
        "{:?}",
        started.elapsed()
    );
    drop(stalled);

    // Alone, the stalled client takes less than 512 KiB before its sender blocks.
    let before = sent.load(SeqCst);
    let _stalled = raw(addr).await;
    until(|| sockets.open() == 0 && sockets.accepted() == 3).await;
    let taken = sent.load(SeqCst) - before;
    assert!(taken < 512 * 1024, "{taken} bytes");
    assert!(
        sockets.undelivered() >= 4,
        "what was queued was not delivered"
    );
}

#[tokio::test]
async fn a_client_that_reads_again_within_the_close_deadline_gets_the_code() {
    let sockets = limits(4, QueuePolicy::DropOldest)
        .write_deadline(Duration::from_millis(300))
        .close_deadline(PATIENCE)
        .slow_code(1013)
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    while client.try_closed().is_none() {
        _ = client.try_send(vec![b'x'; 4096]);
        sleep(Duration::from_millis(1)).await;
    }
    let expected = (1013, "slow consumer: write deadline".to_owned());
    assert_eq!(close_frame(&mut socket).await, expected);
    until(|| sockets.closed(CloseReason::WriteDeadline) == 1).await;
    assert!(matches!(client.try_send("late"), Err(SendError::Closed(_))));
}

#[tokio::test]
async fn a_close_of_the_application_does_not_hang_behind_a_full_send_buffer() {
    let sockets = limits(4, QueuePolicy::DropOldest)
        .write_deadline(PATIENCE * 10)
        .close_deadline(Duration::from_millis(300))
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let _stalled = raw(addr).await;
    let client = clients.recv().await.unwrap();
    while sockets.dropped(DropReason::Oldest) == 0 {
        client.try_send(vec![b'x'; 16 * 1024]).unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    let started = Instant::now();
    client.close(axum::extract::ws::CloseFrame {
        code: 4321,
        reason: "enough".into(),
    });
    drop(client);
    until(|| sockets.open() == 0).await;
    assert!(started.elapsed() < PATIENCE);
    assert_eq!(sockets.closed(CloseReason::Application), 1);
}

#[tokio::test]
async fn control_frames_are_read_while_a_write_is_blocked() {
    let sockets = limits(4, QueuePolicy::DropOldest)
        .write_deadline(PATIENCE * 10)
        .close_deadline(Duration::from_millis(200))
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut stalled = raw(addr).await;
    let client = clients.recv().await.unwrap();
    while sockets.dropped(DropReason::Oldest) == 0 {
        client.try_send(vec![b'x'; 16 * 1024]).unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    stalled
        .write_all(&frame(1, br#"{"event":"flow.pause"}"#))
        .await
        .unwrap();
    until(|| client.paused_for().is_some()).await;
    stalled.write_all(&frame(9, b"ping")).await.unwrap();
    stalled
        .write_all(&frame(8, &1000_u16.to_be_bytes()))
        .await
        .unwrap();
    until(|| sockets.closed(CloseReason::Client) == 1).await;
    drop(client);
    until(|| sockets.open() == 0).await;
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let sockets = limits(4, QueuePolicy::BLOCK)
        .ping_every(Some(Duration::from_millis(100)))
        .silence_limit(Some(Duration::from_millis(500)))
        .close_deadline(Duration::from_millis(200))
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut answers = connect(addr).await;
    let answering = tokio::spawn(async move { while answers.next().await.is_some() {} });
    let mut silent = raw(addr).await;
    let started = Instant::now();
    until(|| sockets.closed(CloseReason::Silent) == 1).await;
    assert!(started.elapsed() >= Duration::from_millis(450));
    let mut received = Vec::new();
    timeout(PATIENCE, silent.read_to_end(&mut received))
        .await
        .unwrap()
        .unwrap();
    // Pings, and a close frame with 4008.
    assert!(received.starts_with(&[0x89, 0]));
    let code = 4008_u16.to_be_bytes();
    assert!(received.windows(2).any(|window| window == code));
    clients.recv().await.unwrap();
    until(|| sockets.open() == 1).await;
    assert!(!answering.is_finished(), "the other client answers");
}

#[tokio::test]
async fn a_queue_over_its_mark_for_too_long_closes_the_client() {
    let limit = Duration::from_millis(400);
    let sockets = limits(10, QueuePolicy::BLOCK)
        .over_mark(Some(limit))
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    socket
        .send(Message::text(r#"{"event":"flow.pause"}"#))
        .await
        .unwrap();
    until(|| client.paused_for().is_some()).await;
    for n in 0..7 {
        client.try_send(format!("{n}")).unwrap();
    }
    sleep(limit * 2).await;
    assert_eq!(client.try_closed(), None, "below the high mark");
    let started = Instant::now();
    client.try_send("7").unwrap();
    assert!(
        next_text(&mut socket).await.contains("flow.pause"),
        "is sent during a pause"
    );
    let expected = (4008, "slow consumer: queue above its mark".to_owned());
    assert_eq!(close_frame(&mut socket).await, expected);
    assert!(started.elapsed() >= limit);
    assert_eq!(sockets.closed(CloseReason::OverMark), 1);
    until(|| sockets.undelivered() == 8).await;
}

#[tokio::test]
async fn a_queue_at_the_hard_limit_in_bytes_closes_the_client_at_once() {
    let sockets = limits(1000, QueuePolicy::DropOldest)
        .max_bytes(100_000)
        .hard_bytes(Some(50_000))
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    socket
        .send(Message::text(r#"{"event":"flow.pause"}"#))
        .await
        .unwrap();
    until(|| client.paused_for().is_some()).await;
    for _ in 0..50 {
        _ = client.try_send(vec![0; 1000]);
    }
    let expected = (4008, "slow consumer: too many bytes queued".to_owned());
    assert_eq!(close_frame(&mut socket).await, expected);
    assert_eq!(sockets.closed(CloseReason::QueueBytes), 1);
    assert_eq!(sockets.dropped(DropReason::Oldest), 0);
}

#[tokio::test]
async fn a_message_above_the_bound_of_the_queue_is_handed_back() {
    let sockets = limits(10, QueuePolicy::DropOldest)
        .max_bytes(1000)
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    let error = client.try_send(vec![0; 1000]).unwrap_err();
    assert!(matches!(
        error,
        SendError::TooLarge {
            weight: 1064,
            max: 1000,
            ..
        }
    ));
    let sent = client.try_send("fits").unwrap();
    assert_eq!((sent.seq, sent.fate), (0, Fate::Queued));
    assert_eq!(next_text(&mut socket).await, "fits");
}

#[tokio::test]
async fn the_deadline_of_the_listener_is_counted_as_the_same_reason() {
    let sockets = limits(4, QueuePolicy::DropOldest)
        .write_deadline(PATIENCE * 10)
        .build()
        .unwrap();
    let accepting = sockets.clone();
    let app = Router::new().route(
        "/",
        any(|handshake: Handshake| async move {
            accepting.accept(handshake, |client| async move {
                while client.send(vec![b'x'; 4096]).await.is_ok() {
                    sleep(Duration::from_millis(1)).await;
                }
            })
        }),
    );
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = BackpressureListener::builder(tcp)
        .write_deadline(Some(Duration::from_millis(300)))
        .build()
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let _stalled = raw(addr).await;
    until(|| sockets.closed(CloseReason::WriteDeadline) == 1).await;
    until(|| sockets.open() == 0).await;
}

#[tokio::test]
async fn a_pause_that_is_asked_for_after_the_close_is_not_counted() {
    let sockets = limits(4, QueuePolicy::DropOldest)
        .close_deadline(Duration::from_millis(500))
        .build()
        .unwrap();
    let addr = serve(&sockets, |_| async {}).await;
    let mut client = raw(addr).await;
    until(|| sockets.closed(CloseReason::Done) == 1).await;
    client
        .write_all(&frame(1, br#"{"event":"flow.pause"}"#))
        .await
        .unwrap();
    until(|| sockets.open() == 0).await;
    assert_eq!((sockets.paused(), sockets.pauses_received()), (0, 0));
}

#[tokio::test]
async fn each_sent_message_is_written_dropped_or_undelivered() {
    let random = QueuePolicy::DropRandom { seed: 1 };
    for policy in [QueuePolicy::DropOldest, QueuePolicy::DropNewest, random] {
        let sockets = limits(20, policy)
            .write_deadline(Duration::from_millis(200))
            .close_deadline(Duration::from_millis(100))
            .build()
            .unwrap();
        let (addr, mut clients) = serve_to_test(&sockets).await;
        let _stalled = raw(addr).await;
        let client = clients.recv().await.unwrap();
        let mut sent = 0;
        while client.try_send(vec![b'x'; 1024]).is_ok() {
            sent += 1;
            tokio::task::yield_now().await;
        }
        until(|| sockets.closed(CloseReason::WriteDeadline) == 1).await;
        let reasons = [DropReason::Oldest, DropReason::Newest, DropReason::Random];
        let dropped: u64 = reasons.iter().map(|reason| sockets.dropped(*reason)).sum();
        let ended = sockets.messages_out() + dropped + sockets.undelivered();
        assert_eq!(client.counters().sent(), sent);
        assert_eq!(ended, sent, "{policy:?}");
    }
}
