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
    client::{self, PACES, Pace},
    events::Events,
    proxy::{Kind, Proxy},
};
use tokio::{
    net::TcpListener,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// One event per millisecond of 2 KiB, so that each slow client is behind at once.
const RATE: u64 = 1_000;
const SIZE: usize = 2_000;

/// After this time a blocked write ends a connection.
const DEADLINE: Duration = Duration::from_secs(2);

/// What a stalled client may take in all: kernel and proxy on two ways. The reference is 0.35 MiB;
/// with the defaults of nginx it is 1 GiB, and of `HAProxy` 13 MiB.
const BOUND: u64 = 1 << 20;

/// A topic and its server.
async fn serve(topic: &Topic) -> SocketAddr {
    let app: Router = Router::new().nest("/events", topic.router());
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = BackpressureListener::builder(tcp).write_deadline(Some(DEADLINE));
    let listener = listener.build().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    addr
}

/// Publishes until the client of the clock is gone. The data is the time of publication.
async fn publish(topic: Topic, start: Instant) {
    let mut tick = interval(Duration::from_secs(1) / RATE as u32);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let padding = "x".repeat(SIZE);
    loop {
        tick.tick().await;
        let micros = start.elapsed().as_micros();
        if topic
            .publish(SseEvent::new(&format!("{micros} {padding}")))
            .is_err()
        {
            return;
        }
    }
}

/// Reads events for a while, and returns the latencies. Numbers must be without a gap.
async fn follow(addr: SocketAddr, start: Instant, time: Duration) -> (Vec<Duration>, usize) {
    let mut events = Events::connect(addr, "/events", "").await.unwrap();
    let (mut latencies, mut last) = (Vec::new(), None);
    let end = Instant::now() + time;
    while Instant::now() < end {
        let event = timeout(PATIENCE, events.next()).await.expect("events come");
        let event = event.unwrap().expect("the stream goes on");
        let Some(data) = event
            .split('\n')
            .find_map(|line| line.strip_prefix("data: "))
        else {
            continue;
        };
        let id = event
            .strip_prefix("id: ")
            .unwrap()
            .split('\n')
            .next()
            .unwrap();
        let seq: u64 = id.split_once('.').unwrap().1.parse().unwrap();
        assert!(
            last.is_none_or(|last| last + 1 == seq),
            "{last:?}, then {event:.80}"
        );
        last = Some(seq);
        let micros = data.split(' ').next().unwrap().parse().unwrap();
        latencies.push(
            start
                .elapsed()
                .saturating_sub(Duration::from_micros(micros)),
        );
    }
    latencies.sort_unstable();
    (latencies, events.bytes)
}

fn p99(latencies: &[Duration]) -> Duration {
    latencies[latencies.len() * 99 / 100]
}

async fn until(what: &str, topic: &Topic, mut is_so: impl FnMut() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let so = timeout(PATIENCE, so).await;
    assert!(so.is_ok(), "{what}: {:?}", topic.counters());
}

/// A slow client of each kind, one after the other, beside a healthy one.
async fn slow_clients(kind: Kind) {
    for pace in PACES {
        let topic = Topic::builder()
            .capacity(20_000)
            .max_bytes(64 << 20)
            .buffer(5_000);
        let topic = topic.ttl(PATIENCE).build().unwrap();
        let server = serve(&topic).await;
        let proxy = Proxy::start(kind, server).await.unwrap();
        let start = Instant::now();
        let publisher = tokio::spawn(publish(topic.clone(), start));
        let (alone, bytes_before) = follow(proxy.addr, start, Duration::from_secs(1)).await;
        until("the first is gone", &topic, || {
            topic.counters().clients == 0
        })
        .await;
        let before = topic.counters().bytes;

        let request = "GET /events HTTP/1.1\r\nhost: x\r\n\r\n";
        let slow = tokio::spawn(async move { client::run(proxy.addr, request, pace).await });
        until("the slow one is there", &topic, || {
            topic.counters().clients == 1
        })
        .await;
        let (beside, bytes) = follow(proxy.addr, start, Duration::from_secs(4)).await;
        let taken = topic.counters().bytes - before;
        let slow_bytes = taken.saturating_sub(bytes as u64);
        println!(
            "{kind:?}, {pace:?}: {slow_bytes} bytes; p99 alone {:?}, beside {:?}",
            p99(&alone),
            p99(&beside)
        );
        assert!(bytes_before > 0);
        assert!(slow_bytes < BOUND, "{kind:?}, {pace:?}: {slow_bytes} bytes");
        // A slow machine delays both; a neighbour that waits for the slow client would be seconds late.
        let limit = p99(&alone) * 4 + Duration::from_millis(100);
        assert!(p99(&beside) < limit, "{:?} of {limit:?}", p99(&beside));
        // Those that read nothing are disconnected by the deadline of the write, through any proxy.
        if !matches!(pace, Pace::Slow { .. }) {
            until("the stalled one is gone", &topic, || {
                topic.counters().clients == 0
            })
            .await;
        }
        slow.abort();
        topic.close();
        publisher.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_bounded_and_alone_with_it() {
    slow_clients(Kind::Direct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_nginx_are_bounded_and_alone_with_it() {
    slow_clients(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_behind_haproxy_are_bounded_and_alone_with_it() {
    slow_clients(Kind::HaProxy).await;
}

/// With acknowledgements it does not matter what kernels and proxies hide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_acknowledge_gets_a_window_and_is_moved_in_time() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        let topic = Topic::builder()
            .capacity(20_000)
            .max_bytes(64 << 20)
            .buffer(20_000);
        let topic = topic.acknowledge(50).ack_timeout(DEADLINE).build().unwrap();
        let server = serve(&topic).await;
        let proxy = Proxy::start(kind, server).await.unwrap();
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
        assert!(poll >= DEADLINE && poll < DEADLINE * 3, "{poll:?}");
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
        let proxy = Proxy::start(kind, server).await.unwrap();
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
