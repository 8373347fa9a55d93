//! Server-sent events.
// The figures are read with `--nocapture`.
#![allow(clippy::print_stdout)]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::Router;
use plimsoll_stream::{
    listener::BackpressureListener,
    sse::{SseEvent, Topic},
};
use proofs::{
    chromium::launch,
    client::{self, Pace},
    events::Events,
    face::{
        self, EVERY, Face, Followed, PATIENCE, SIZE, WRITE_DEADLINE, busy_page, half_open_client,
        slow_clients, until,
    },
    proxy::{Kind, Proxy, Wire},
};
use tokio::{
    net::TcpListener,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use crate::busy::page;

/// Events that are sent to a client before it acknowledges one.
const WINDOW: u64 = 50;

/// A topic and its server.
async fn serve(ip: IpAddr, topic: &Topic) -> SocketAddr {
    let app: Router = page("new EventSource('/events')").nest("/events", topic.router());
    let tcp = TcpListener::bind((ip, 0)).await.unwrap();
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
    const CLIENT: &'static str = "sse::client_process";

    async fn serve(ip: IpAddr, start: Instant) -> (Self, SocketAddr) {
        let topic = Topic::builder().capacity(20_000).max_bytes(64 << 20);
        let topic = topic.buffer(5_000).ttl(PATIENCE).build().unwrap();
        let addr = serve(ip, &topic).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_host_vanishes_is_bounded_and_delays_no_other() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        half_open_client::<Ticker>(kind).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_page_is_bounded_and_delays_no_other() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        busy_page::<Ticker>(kind).await;
    }
}

#[tokio::test]
#[ignore = "a client of the test above, which runs it in a process of its own"]
async fn client_process() {
    face::client_process::<Ticker>().await;
}

/// A topic whose clients must acknowledge.
fn acknowledged() -> Topic {
    let topic = Topic::builder().capacity(20_000).max_bytes(64 << 20);
    let topic = topic.buffer(20_000).acknowledge(WINDOW);
    topic.ack_timeout(WRITE_DEADLINE).build().unwrap()
}

/// With acknowledgements it does not matter what kernels and proxies hide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_acknowledge_gets_a_window_and_is_moved_in_time() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        let topic = acknowledged();
        let server = serve(Ipv4Addr::LOCALHOST.into(), &topic).await;
        let proxy = Proxy::start(kind, Wire::Http1, server).await.unwrap();
        let start = Instant::now();
        let publisher = tokio::spawn(publish(topic.clone(), start));
        // It reads all that comes, as a browser does for a page that is busy.
        let mut events = Events::connect(proxy.addr, "/events", "").await.unwrap();
        let (mut data, mut poll) = (0, None);
        while let Some(event) = timeout(PATIENCE, events.next()).await.unwrap().unwrap() {
            data += u64::from(event.contains("\ndata: ") && !event.contains("event: "));
            if event.contains("flow.poll") {
                poll = Some(start.elapsed());
            }
        }
        let poll = poll.expect("it is told to poll");
        println!("{kind:?}: {data} events, moved after {poll:?}");
        assert_eq!(data, WINDOW);
        assert!(
            poll >= WRITE_DEADLINE && poll < WRITE_DEADLINE * 3,
            "{poll:?}"
        );
        topic.close();
        publisher.await.unwrap();
    }
}

/// The browser reads for its page, so nothing but acknowledgements shows a page that is busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_page_gets_a_window_and_is_moved_in_time() {
    for kind in [Kind::Direct, Kind::Nginx, Kind::HaProxy] {
        let topic = acknowledged();
        let server = serve(Ipv4Addr::LOCALHOST.into(), &topic).await;
        let proxy = Proxy::start(kind, Wire::Http1, server).await.unwrap();
        let profile = tempfile::tempdir().unwrap();
        let _browser = launch(profile.path(), &format!("http://{}/page", proxy.addr));
        until("the page follows", || topic.counters().clients == 1).await;
        let start = Instant::now();
        let publisher = tokio::spawn(publish(topic.clone(), start));
        until("it is moved", || topic.counters().moved_ack_timeout == 1).await;
        let (after, counters) = (start.elapsed(), topic.counters());
        println!(
            "{kind:?}: {} events, moved after {after:?}",
            counters.hub.delivered
        );
        assert_eq!(counters.hub.delivered, WINDOW);
        assert!(
            after >= WRITE_DEADLINE && after < WRITE_DEADLINE * 3,
            "{after:?}"
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
        let server = serve(Ipv4Addr::LOCALHOST.into(), &topic).await;
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
