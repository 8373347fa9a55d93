//! The text of a scrape.

use plimsoll_metrics::Metrics;
use plimsoll_stream::metrics::Export as _;

use super::*;

#[tokio::test]
async fn sockets_export_the_fullest_queue_losses_and_rejections() {
    let metrics = Metrics::new();
    let limits = limits(4, QueuePolicy::DropOldest).max_connections(1);
    let sockets = limits.build().unwrap();
    sockets.export(&metrics, "chat").unwrap();
    let (addr, mut clients) = serve_to_test(&sockets).await;
    let mut socket = connect(addr).await;
    let client = clients.recv().await.unwrap();
    assert!(connect_async(format!("ws://{addr}/")).await.is_err(), "503");

    let pause = Message::text(r#"{"event":"flow.pause"}"#);
    socket.send(pause).await.unwrap();
    until(|| sockets.paused() == 1).await;
    for n in 0..6 {
        client.send(format!("{n}")).await.unwrap();
    }
    let lines = |metrics: &Metrics| {
        let text = metrics.prometheus().into_body();
        let own = text
            .lines()
            .filter_map(|line| line.strip_prefix("plimsoll_stream_"));
        own.map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = r#"clients{name="chat",part="websockets"} 1.0
        client_buffer_utilization{name="chat",part="websockets"} 1.0
        queue_received_total{name="chat",part="websockets"} 0
        queue_dropped_total{name="chat",part="websockets",policy="drop_oldest",reason="oldest"} 2
        queue_dropped_total{name="chat",part="websockets",policy="drop_oldest",reason="newest"} 0
        queue_dropped_total{name="chat",part="websockets",policy="other",reason="random"} 0
        queue_dropped_total{name="chat",part="websockets",policy="other",reason="lowest_priority"} 0
        queue_dropped_total{name="chat",part="websockets",policy="other",reason="expired"} 0
        queue_dropped_total{name="chat",part="websockets",policy="other",reason="replaced"} 0
        queue_dropped_total{name="chat",part="websockets",policy="drop_oldest",reason="undelivered"} 0
        gaps_total{name="chat",part="websockets"} 0
        slow_disconnects_total{name="chat",part="websockets",reason="write_deadline"} 0
        slow_disconnects_total{name="chat",part="websockets",reason="over_mark"} 0
        slow_disconnects_total{name="chat",part="websockets",reason="queue_bytes"} 0
        slow_disconnects_total{name="chat",part="websockets",reason="silent"} 0
        retry_headers_total{name="chat",part="websockets",status="503"} 1"#;
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    assert_eq!(lines(&metrics), expected);

    let resume = Message::text(r#"{"event":"flow.resume"}"#);
    socket.send(resume).await.unwrap();
    until(|| sockets.messages_out() == 4).await;
    let lines = lines(&metrics);
    for line in [
        r#"queue_received_total{name="chat",part="websockets"} 4"#,
        r#"gaps_total{name="chat",part="websockets"} 1"#,
        r#"client_buffer_utilization{name="chat",part="websockets"} 0.0"#,
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{lines:#?}");
    }
}
