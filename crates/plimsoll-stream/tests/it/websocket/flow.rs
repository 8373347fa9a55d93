//! Flow messages, gaps and pressure in both directions.

use plimsoll_stream::{DropReason, LoadSignal as _};

use super::*;

const PAUSE: &str = r#"{"event":"flow.pause","reason":"buffer full"}"#;
const PAUSE_INBOUND: &str = r#"{"event":"flow.pause","reason":"receive buffer full"}"#;
const RESUME: &str = r#"{"event":"flow.resume"}"#;

async fn pause(socket: &mut Socket, client: &Client) {
    socket.send(Message::text(PAUSE)).await.unwrap();
    until(|| client.paused_for().is_some()).await;
}

/// What a client receives until the text `end`: the numbers, and the numbers that gaps announce.
async fn follow(socket: &mut Socket) -> (Vec<u64>, Vec<u64>) {
    let (mut received, mut announced) = (Vec::new(), Vec::new());
    loop {
        let text = next_text(socket).await;
        if text == "end" {
            return (received, announced);
        } else if text.contains("flow.gap") {
            let gap: serde_json::Value = serde_json::from_str(&text).unwrap();
            announced.extend(gap["from"].as_u64().unwrap()..=gap["to"].as_u64().unwrap());
        } else if !text.contains("flow.") {
            received.push(text.parse().unwrap());
        }
    }
}

#[tokio::test]
async fn each_policy_loses_what_it_promises_and_announces_it() {
    let random = QueuePolicy::DropRandom { seed: 3 };
    let cases = [
        (QueuePolicy::DropOldest, DropReason::Oldest),
        (QueuePolicy::DropNewest, DropReason::Newest),
        (random, DropReason::Random),
    ];
    for (policy, reason) in cases {
        let sockets = limits(50, policy).build().unwrap();
        let (addr, mut clients) = serve_to_test(&sockets).await;
        let mut socket = connect(addr).await;
        let client = clients.recv().await.unwrap();
        pause(&mut socket, &client).await;
        for n in 0..1000 {
            assert_eq!(client.try_send(format!("{n}")).unwrap().seq, n);
        }
        assert_eq!((client.len(), sockets.dropped(reason)), (50, 950));
        assert!((client.load() - 1.0).abs() < 1e-9);
        socket.send(Message::text(RESUME)).await.unwrap();
        until(|| client.is_empty()).await;
        client.send("end").await.unwrap();

        let (received, announced) = follow(&mut socket).await;
        assert_eq!((received.len(), announced.len()), (50, 950), "{policy:?}");
        let mut all = [received.clone(), announced].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>(), "each number once");
        match policy {
            QueuePolicy::DropOldest => assert_eq!(received, (950..1000).collect::<Vec<_>>()),
            QueuePolicy::DropNewest => assert_eq!(received, (0..50).collect::<Vec<_>>()),
            _ => assert!(received.is_sorted()),
        }
        assert!(sockets.gaps() >= 1);
        assert_eq!((sockets.pauses_received(), sockets.paused()), (1, 0));
        assert!(sockets.paused_time() > Duration::ZERO);
    }
}

#[tokio::test]
async fn a_gap_comes_before_the_first_message_after_the_drop() {
    let sockets = limits(2, QueuePolicy::DropOldest).build().unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    pause(&mut socket, &client).await;
    for text in ["a", "b", "c", "d"] {
        client.try_send(text).unwrap();
    }
    assert_eq!(next_text(&mut socket).await, PAUSE);
    socket.send(Message::text(RESUME)).await.unwrap();
    let gap = r#"{"event":"flow.gap","from":0,"to":1,"reason":"oldest"}"#;
    assert_eq!(next_text(&mut socket).await, gap);
    assert_eq!(next_text(&mut socket).await, "c");
    assert_eq!(next_text(&mut socket).await, "d");
    assert_eq!(next_text(&mut socket).await, RESUME);
}

#[tokio::test]
async fn block_loses_nothing_and_slows_its_sender() {
    let sockets = limits(5, QueuePolicy::BLOCK)
        .over_mark(None)
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    pause(&mut socket, &client).await;
    let sender = client.sender();
    let sending = tokio::spawn(async move {
        for n in 0..500 {
            sender.send(format!("{n}")).await.unwrap();
        }
        sender.send("end").await.unwrap();
    });
    until(|| client.len() == 5).await;
    assert!(!sending.is_finished());
    socket.send(Message::text(RESUME)).await.unwrap();
    let (received, announced) = follow(&mut socket).await;
    assert_eq!(received, (0..500).collect::<Vec<_>>());
    assert!(announced.is_empty());
    sending.await.unwrap();
}

#[tokio::test]
async fn a_client_is_asked_to_pause_at_the_high_mark_and_to_resume_at_the_low_one() {
    let sockets = limits(100, QueuePolicy::DropNewest)
        .marks(0.2, 0.9)
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    pause(&mut socket, &client).await;
    // Back and forth around one mark changes nothing.
    for _ in 0..89 {
        client.try_send("x").unwrap();
    }
    assert_eq!(sockets.pauses_sent(), 0);
    for _ in 0..10 {
        client.try_send("x").unwrap();
    }
    assert_eq!(next_text(&mut socket).await, PAUSE);
    socket.send(Message::text(RESUME)).await.unwrap();
    let mut texts = Vec::new();
    while texts.last().is_none_or(|text| text != RESUME) {
        texts.push(next_text(&mut socket).await);
    }
    assert!(texts.iter().filter(|text| *text == "x").count() >= 79);
    assert_eq!(sockets.pauses_sent(), 1);
    assert_eq!(client.counters().sent(), 99);
}

#[tokio::test]
async fn repeated_pauses_and_resumes_change_nothing() {
    let sockets = limits(10, QueuePolicy::BLOCK).build().unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    for text in [RESUME, PAUSE, PAUSE, RESUME, RESUME] {
        socket.send(Message::text(text)).await.unwrap();
    }
    until(|| (sockets.pauses_received(), sockets.paused()) == (1, 0)).await;
    client.try_send("data").unwrap();
    assert_eq!(next_text(&mut socket).await, "data");
    assert_eq!((sockets.pauses_received(), sockets.paused()), (1, 0));
    assert_eq!(
        sockets.messages_in(),
        0,
        "the application sees no flow message"
    );
}

#[tokio::test]
async fn without_flow_messages_they_are_data() {
    let sockets = limits(2, QueuePolicy::DropOldest)
        .flow_messages(false)
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    socket.send(Message::text(PAUSE)).await.unwrap();
    assert_eq!(client.recv().await.unwrap().to_text().unwrap(), PAUSE);
    assert_eq!(client.paused_for(), None);
    for n in 0..100 {
        client.try_send(format!("{n}")).unwrap();
    }
    loop {
        let text = next_text(&mut socket).await;
        assert!(!text.contains("flow"), "{text}");
        if text == "99" {
            break;
        }
    }
}

#[tokio::test]
async fn reading_stops_while_the_application_takes_nothing() {
    let sockets = limits(8, QueuePolicy::BLOCK)
        .inbound(4, 64 * 1024)
        .max_message_bytes(16 * 1024)
        .marks(0.25, 1.0)
        .ping_every(Some(Duration::from_millis(50)))
        .silence_limit(Some(Duration::from_millis(400)))
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    for n in 0..4 {
        socket.send(Message::text(format!("{n}"))).await.unwrap();
    }
    assert_eq!(next_text(&mut socket).await, PAUSE_INBOUND);
    // The queue is full, and a ping in front of the next message is answered.
    socket.send(Message::Ping(vec![7].into())).await.unwrap();
    loop {
        match timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap()
        {
            Message::Pong(payload) if payload[..] == [7] => break,
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other}"),
        }
    }
    // A client that ignores the pause is stopped by TCP.
    let (mut sink, mut stream) = socket.split();
    let flooding = tokio::spawn(async move {
        let mut sent = 4;
        let block = Message::binary(vec![0; 16 * 1024]);
        while timeout(Duration::from_millis(500), sink.send(block.clone()))
            .await
            .is_ok()
        {
            sent += 1;
        }
        (sent, sink)
    });
    let (sent, _sink) = flooding.await.unwrap();
    assert!(sockets.messages_in() <= 5, "4 queued, and one that waits");
    assert!(sent > 5);
    // It took longer than the limit of silence, which does not count now.
    assert_eq!((sockets.open(), client.try_closed()), (1, None));
    for n in 0..4 {
        assert_eq!(
            client.recv().await.unwrap().to_text().unwrap(),
            n.to_string()
        );
    }
    let mut received = 4;
    while received < sent {
        timeout(PATIENCE, client.recv()).await.unwrap().unwrap();
        received += 1;
    }
    let resumed = async { while stream.next().await.unwrap().unwrap() != Message::text(RESUME) {} };
    timeout(PATIENCE, resumed).await.unwrap();
}

#[tokio::test]
async fn a_handler_that_drops_its_client_discards_messages() {
    let sockets = limits(8, QueuePolicy::BLOCK)
        .inbound(2, 256 * 1024)
        .build()
        .unwrap();
    let addr = serve(&sockets, |client| async move {
        let sender = client.sender();
        drop(client);
        sender.closed().await;
    })
    .await;
    let mut socket = connect(addr).await;
    for _ in 0..50 {
        socket.send(Message::text("ignored")).await.unwrap();
    }
    until(|| sockets.messages_in() == 50).await;
    socket.close(None).await.unwrap();
    until(|| sockets.open() == 0).await;
}

#[tokio::test]
async fn coalescing_by_key_keeps_the_latest_message_of_each_key() {
    let sockets = limits(10, QueuePolicy::Coalesce)
        .queue(|queue| {
            queue.key(|message: &axum::extract::ws::Message| {
                message
                    .to_text()
                    .map(|text| text.split('=').next().map(str::to_owned))
                    .ok()
            })
        })
        .build()
        .unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    pause(&mut socket, &client).await;
    for text in ["a=1", "b=1", "a=2", "a=3", "b=2"] {
        client.try_send(text).unwrap();
    }
    assert_eq!(sockets.dropped(DropReason::Replaced), 3);
    socket.send(Message::text(RESUME)).await.unwrap();
    assert_eq!(next_text(&mut socket).await, "a=3");
    assert_eq!(next_text(&mut socket).await, "b=2");
}
