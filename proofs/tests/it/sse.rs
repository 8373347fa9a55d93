//! Server-sent events.
// The figures are read with `--nocapture`.
#![allow(clippy::print_stdout)]

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use plimsoll_stream::{
    listener::BackpressureListener,
    sse::{SseEvent, Topic},
};
use proofs::{
    client::{self, Pace},
    events::Events,
    face::{EVERY, Face, Followed, PATIENCE, SIZE, WRITE_DEADLINE, slow_clients},
    proxy::{Kind, Proxy, Wire},
};
use tokio::{
    net::TcpListener,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// A topic and its server.
async fn serve(topic: &Topic) -> SocketAddr {
    let app: Router = Router::new().nest("/events", topic.router());
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = BackpressureListener::builder(tcp).write_deadline(Some(WRITE_DEADLINE));
    let listener = listener.build().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

/// Publishes until the topic is closed. The data is the time of publication.
async fn publish(topic: Topic, start: Instant) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let padding = "x".repeat(SIZE);
    loop {
        tick.tick().await;
        let micros = start.elapsed().as_micros();
        let event = SseEvent::new(&format!("{micros} {padding}"));
        if topic.publish(event).is_err() {
            return;
        }
    }
}

/// The number of an event, which is the end of its id.
fn number(event: &str) -> u64 {
    let id = event
        .strip_prefix("id: ")
        .and_then(|id| id.split('\n').next());
    id.unwrap().split_once('.').unwrap().1.parse().unwrap()
}

/// A topic that is closed when the test ends.
struct Ticker(Topic);

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Face for Ticker {
    const WIRE: Wire = Wire::Http1;
    const ENDS_STALLED: bool = true;

    async fn serve(start: Instant) -> (Self, SocketAddr) {
        let topic = Topic::builder().capacity(20_000).max_bytes(64 << 20);
        let topic = topic.buffer(5_000).ttl(PATIENCE).build().unwrap();
        let addr = serve(&topic).await;
        tokio::spawn(publish(topic.clone(), start));
        (Self(topic), addr)
    }

    fn open(&self) -> usize {
        self.0.counters().clients
    }

    fn bytes_out(&self) -> u64 {
        self.0.counters().bytes
    }

    async fn follow(addr: SocketAddr, start: Instant, time: Duration) -> Followed {
        let mut events = Events::connect(addr, "/events", "").await.unwrap();
        let (mut followed, mut last) = (Followed::default(), None);
        let end = Instant::now() + time;
        while Instant::now() < end {
            let event = timeout(PATIENCE, events.next()).await.expect("an event");
            let event = event.unwrap().expect("an event and not the end");
            let data = event
                .split('\n')
                .find_map(|line| line.strip_prefix("data: "));
            let Some(data) = data else { continue };
            let seq = number(&event);
            assert!(
                last.is_none_or(|last| last + 1 == seq),
                "{last:?}, then {event:.80}"
            );
            last = Some(seq);
            followed.add(start, data.split(' ').next().unwrap().parse().unwrap());
        }
        followed.bytes = events.bytes as u64;
        followed
    }

    async fn slow(addr: SocketAddr, pace: Pace) {
        let request = "GET /events HTTP/1.1\r\nhost: x\r\n\r\n";
        client::run(addr, request, pace).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_bounded_and_delay_no_other() {
    slow_clients::<Ticker>(Kind::Direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_nginx_are_bounded_and_delay_no_other() {
    slow_clients::<Ticker>(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_haproxy_are_bounded_and_delay_no_other() {
    slow_clients::<Ticker>(Kind::HaProxy).await;
}

/// With acknowledgements it does not matter what kernels and proxies hide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_acknowledge_gets_a_window_and_is_moved_in_time() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        let topic = Topic::builder()
            .capacity(20_000)
            .max_bytes(64 << 20)
            .buffer(20_000);
        let topic = topic
            .acknowledge(50)
            .ack_timeout(WRITE_DEADLINE)
            .build()
            .unwrap();
        let server = serve(&topic).await;
        let proxy = Proxy::start(kind, Wire::Http1, server).await.unwrap();
        let start = Instant::now();
        let publisher = tokio::spawn(publish(topic.clone(), start));
        // It reads all that comes, as a browser does for a page that is busy.
        let mut events = Events::connect(proxy.addr, "/events", "").await.unwrap();
        let (mut data, mut poll) = (0, None);
        while let Some(event) = timeout(PATIENCE, events.next()).await.unwrap().unwrap() {
            data += usize::from(event.starts_with("id: ") && event.contains("\ndata: "));
            if event.contains("flow.poll") {
                poll = Some(start.elapsed());
            }
        }
        let poll = poll.expect("it is told to poll");
        println!("{kind:?}: {data} events, moved after {poll:?}");
        assert_eq!(data, 50);
        assert!(
            poll >= WRITE_DEADLINE && poll < WRITE_DEADLINE * 3,
            "{poll:?}"
        );
        topic.close();
        publisher.await.unwrap();
    }
}

/// The first event must not wait in a buffer of the proxy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_event_comes_at_once_through_each_proxy() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        let topic = Topic::builder().build().unwrap();
        let server = serve(&topic).await;
        let proxy = Proxy::start(kind, Wire::Http1, server).await.unwrap();
        let mut latencies = Vec::new();
        for _ in 0..20 {
            let mut events = Events::connect(proxy.addr, "/events", "").await.unwrap();
            assert!(events.next().await.unwrap().unwrap().contains("retry: "));
            let start = Instant::now();
            topic.publish(SseEvent::new("first")).unwrap();
            let event = timeout(PATIENCE, events.next()).await.expect("it comes");
            assert!(event.unwrap().unwrap().contains("data: first"));
            latencies.push(start.elapsed());
        }
        latencies.sort_unstable();
        println!(
            "{kind:?}: median {:?}, worst {:?}",
            latencies[10], latencies[19]
        );
        assert!(
            latencies[10] < Duration::from_millis(200),
            "{kind:?}: {latencies:?}"
        );
    }
}
