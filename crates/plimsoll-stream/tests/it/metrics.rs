//! The text of a scrape.

use std::time::Duration;

use plimsoll_metrics::{InvalidMetric, Metrics};
use plimsoll_stream::{
    BoundedQueue, Criticality, Cursor, Hub, LagPolicy, Permit, QueuePolicy, alarm::Alarm,
    metrics::Export,
};
use proptest::{collection::vec, prelude::*};
use tokio::time::{Instant, sleep};

/// The lines of the parts, without help, types and the families of the registry itself.
fn lines(metrics: &Metrics) -> Vec<String> {
    let text = metrics.prometheus().into_body();
    let own = |line: &&str| line.starts_with("plimsoll_stream_");
    let lines = text.lines().filter(own);
    lines
        .map(|line| line.trim_start_matches("plimsoll_stream_").to_owned())
        .collect()
}

/// Compares the lines with a text of one line each.
#[track_caller]
fn assert_lines(metrics: &Metrics, expected: &str) {
    let expected: Vec<_> = expected.lines().map(str::trim).collect();
    let lines = lines(metrics);
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_queue_exports_its_depth_throughput_losses_and_waits() {
    let metrics = Metrics::new();
    let queue = BoundedQueue::builder(3)
        .policy(QueuePolicy::DropOldest)
        .max_bytes_by(100, |item: &&str| item.len())
        .measure_waits(1)
        .build()
        .unwrap();
    queue.export(&metrics, "prices").unwrap();
    for item in ["a", "bb", "ccc", "dddd", "eeeee"] {
        queue.send(item).await.unwrap();
    }
    sleep(Duration::from_millis(3)).await;
    assert_eq!(queue.recv().await, Some("ccc"));
    sleep(Duration::from_secs(2)).await;
    assert_lines(
        &metrics,
        r#"queue_depth{name="prices",part="queue",unit="items"} 2.0
        queue_depth{name="prices",part="queue",unit="bytes"} 9.0
        queue_capacity{name="prices",part="queue",unit="items"} 3.0
        queue_capacity{name="prices",part="queue",unit="bytes"} 100.0
        queue_sent_total{name="prices",part="queue"} 5
        queue_received_total{name="prices",part="queue"} 1
        queue_dropped_total{name="prices",part="queue",policy="drop_oldest",reason="oldest"} 2
        queue_dropped_total{name="prices",part="queue",policy="drop_oldest",reason="newest"} 0
        queue_dropped_total{name="prices",part="queue",policy="drop_newest",reason="newest"} 0
        queue_dropped_total{name="prices",part="queue",policy="drop_random",reason="random"} 0
        queue_dropped_total{name="prices",part="queue",policy="drop_random",reason="newest"} 0
        queue_dropped_total{name="prices",part="queue",policy="drop_expired",reason="expired"} 0
        queue_dropped_total{name="prices",part="queue",policy="drop_expired",reason="newest"} 0
        oldest_age_seconds{name="prices",part="queue"} 2.003
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.000001024"} 0
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.000004096"} 0
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.000016384"} 0
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.000065536"} 0
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.000262144"} 0
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.001048576"} 0
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.004194304"} 1
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.016777216"} 1
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.067108864"} 1
        queue_wait_seconds_bucket{name="prices",part="queue",le="0.268435456"} 1
        queue_wait_seconds_bucket{name="prices",part="queue",le="1.073741824"} 1
        queue_wait_seconds_bucket{name="prices",part="queue",le="4.294967296"} 1
        queue_wait_seconds_bucket{name="prices",part="queue",le="17.179869184"} 1
        queue_wait_seconds_bucket{name="prices",part="queue",le="68.719476736"} 1
        queue_wait_seconds_bucket{name="prices",part="queue",le="274.877906944"} 1
        queue_wait_seconds_bucket{name="prices",part="queue",le="+Inf"} 1
        queue_wait_seconds_sum{name="prices",part="queue"} 0.002883584
        queue_wait_seconds_count{name="prices",part="queue"} 1"#,
    );
}

#[test]
fn a_queue_without_waits_and_with_functions_exports_the_losses_that_can_occur() {
    let metrics = Metrics::new();
    let queue = BoundedQueue::builder(3)
        .key(|item: &u32| *item)
        .build()
        .unwrap();
    queue.export(&metrics, "state").unwrap();
    queue.try_send(1).unwrap();
    let lines = lines(&metrics);
    let lost = |policy: &str, reason: &str| {
        format!(
            r#"queue_dropped_total{{name="state",part="queue",policy="{policy}",reason="{reason}"}} 0"#
        )
    };
    assert!(lines.contains(&lost("coalesce", "replaced")));
    assert!(!lines.contains(&lost("drop_lowest_priority", "newest")));
    assert!(!lines.iter().any(|line| line.starts_with("queue_wait")));
    let unknown = r#"oldest_age_seconds{name="state",part="queue"} NaN"#.to_owned();
    assert!(lines.contains(&unknown), "no time stamps");
}

#[tokio::test(start_paused = true)]
async fn a_hub_exports_throughput_gaps_and_resumes_and_stays_closed_by_its_last_clone() {
    let metrics = Metrics::new();
    let hub = Hub::builder(4).epoch(1).build().unwrap();
    hub.export(&metrics, "ticks").unwrap();
    let mut skips = hub.subscribe().unwrap();
    let strict = hub.subscriber().policy(LagPolicy::Disconnect);
    let mut strict = strict.max_lag(2).subscribe().unwrap();
    for n in 1..=6 {
        hub.publish(n).unwrap();
    }
    while let Ok(Some(_)) = skips.try_recv() {}
    assert!(strict.try_recv().is_err());
    let at = |seq| hub.subscriber().after(Cursor { epoch: 1, seq });
    drop((at(5).subscribe(), at(1).subscribe(), at(0).subscribe()));
    drop(skips);
    assert_lines(
        &metrics,
        r#"clients{name="ticks",part="hub"} 1.0
        queue_sent_total{name="ticks",part="hub"} 6
        queue_received_total{name="ticks",part="hub"} 4
        gaps_total{name="ticks",part="hub"} 1
        missed_total{name="ticks",part="hub"} 2
        replay_hits_total{name="ticks",part="hub"} 1
        replay_misses_total{name="ticks",part="hub"} 2
        slow_disconnects_total{name="ticks",part="hub",reason="lag"} 1"#,
    );
    drop(hub);
    assert!(strict.recv().await.is_err());
    let mut text = metrics.prometheus().into_body();
    text.retain(|c| c != ' ');
    assert!(text.contains("queue_sent_total"), "the figures are kept");
}

#[tokio::test(start_paused = true)]
async fn an_alarm_is_a_gauge() {
    let metrics = Metrics::new();
    let alarm = Alarm::new(|| 0.0);
    alarm.export(&metrics, "prices").unwrap();
    assert_lines(&metrics, r#"saturated{signal="prices"} 0.0"#);
    let start = Instant::now();
    alarm.observe(0.9, start);
    alarm.observe(0.9, start + Duration::from_secs(10));
    assert_lines(&metrics, r#"saturated{signal="prices"} 1.0"#);
}

#[test]
fn parts_of_one_kind_need_different_names() {
    let metrics = Metrics::new();
    let hub = Hub::<u32>::new(4).unwrap();
    let queue = BoundedQueue::<u32>::new(4, QueuePolicy::BLOCK).unwrap();
    hub.export(&metrics, "a").unwrap();
    queue.export(&metrics, "a").unwrap();
    queue.export(&metrics, "b").unwrap();
    assert!(matches!(
        queue.export(&metrics, "a"),
        Err(InvalidMetric::Duplicate { .. })
    ));
}

#[cfg(feature = "throttle")]
#[tokio::test(start_paused = true)]
async fn a_throttle_exports_what_has_passed() {
    use futures_util::{StreamExt as _, stream};
    use plimsoll_stream::{Quota, Throttle};

    let metrics = Metrics::new();
    let throttle = Throttle::builder().events(Quota::per_second(10).burst(2));
    let throttle = throttle.build().unwrap();
    throttle.export(&metrics, "out").unwrap();
    let mut events = std::pin::pin!(throttle.stream(stream::repeat("event")));
    for _ in 0..5 {
        events.next().await;
    }
    assert_lines(
        &metrics,
        r#"throttle_passed_total{name="out",part="throttle"} 5
        throttle_delayed_total{name="out",part="throttle"} 3"#,
    );
}

#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn a_topic_exports_its_slowest_client_moves_and_rejections() {
    use axum::{body::Body, response::Response};
    use futures_util::FutureExt as _;
    use http::Request;
    use http_body_util::BodyExt as _;
    use plimsoll_stream::sse::{SseEvent, Topic};

    let metrics = Metrics::new();
    let topic = Topic::builder().epoch(1).capacity(20).buffer(10);
    let topic = topic.acknowledge(5).ack_timeout(Duration::from_secs(5));
    let topic = topic.max_clients(2).build().unwrap();
    topic.export(&metrics, "ticks").unwrap();
    let stream = |id: &str, query: &str| {
        let request = Request::get(format!("/{query}")).header("last-event-id", id);
        topic.stream(&request.body(Body::empty()).unwrap())
    };
    let (mut slow, idle) = (stream("", ""), stream("", ""));
    assert_eq!(stream("", "?client=fetch").status(), 503);
    for n in 1..=15 {
        topic.publish(SseEvent::new(&n.to_string())).unwrap();
    }
    while slow.frame().now_or_never().is_some() {}
    let utilization = |share: &str| {
        let line = format!(r#"client_buffer_utilization{{name="ticks",part="topic"}} {share}"#);
        assert!(lines(&metrics).contains(&line), "{:#?}", lines(&metrics));
    };
    // One client was sent its window of 5. The other one was sent none, and is not polled.
    utilization("1.5");
    drop(idle);
    utilization("1.0");
    // It does not acknowledge, is moved to polling, gets the rest there, and comes back.
    let last_id = async |response: Response| {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let ids = std::str::from_utf8(&body).unwrap().lines();
        let mut ids = ids.filter_map(|line| line.strip_prefix("id: "));
        ids.next_back().unwrap().to_owned()
    };
    let moved = last_id(slow).await;
    let mut back = stream(&last_id(stream(&moved, "")).await, "");
    back.frame().await.unwrap().unwrap();
    assert_lines(
        &metrics,
        r#"clients{name="ticks",part="topic"} 1.0
        queue_sent_total{name="ticks",part="topic"} 15
        queue_received_total{name="ticks",part="topic"} 15
        gaps_total{name="ticks",part="topic"} 0
        missed_total{name="ticks",part="topic"} 0
        replay_hits_total{name="ticks",part="topic"} 2
        replay_misses_total{name="ticks",part="topic"} 0
        client_buffer_utilization{name="ticks",part="topic"} 0.0
        retry_headers_total{name="ticks",part="topic",status="429"} 0
        retry_headers_total{name="ticks",part="topic",status="503"} 1
        migrations_total{name="ticks",part="topic",to="poll"} 1
        migrations_total{name="ticks",part="topic",to="stream"} 1"#,
    );
}

#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn a_work_queue_exports_its_depth_and_rejections_and_ends_with_its_last_handle() {
    use plimsoll_stream::work::{Job, WorkQueue};

    let metrics = Metrics::new();
    let work = WorkQueue::builder(1).workers(1).build().unwrap();
    work.export(&metrics, "images").unwrap();
    let long = || Job::future(sleep(Duration::from_secs(1)));
    work.submit(long()).unwrap();
    tokio::task::yield_now().await;
    work.submit(long()).unwrap();
    assert!(work.submit(long()).is_err());
    assert_lines(
        &metrics,
        r#"queue_depth{name="images",part="work_queue",unit="items"} 1.0
        queue_capacity{name="images",part="work_queue",unit="items"} 1.0
        queue_sent_total{name="images",part="work_queue"} 2
        queue_received_total{name="images",part="work_queue"} 0
        queue_dropped_total{name="images",part="work_queue",policy="block",reason="evicted"} 0
        queue_dropped_total{name="images",part="work_queue",policy="block",reason="hung_up"} 0
        retry_headers_total{name="images",part="work_queue",status="503"} 1"#,
    );
    drop(work);
    sleep(Duration::from_secs(3)).await;
    let sums = lines(&metrics);
    let ended = r#"queue_received_total{name="images",part="work_queue"} 2"#.to_owned();
    assert!(sums.contains(&ended), "{sums:#?}");
}

#[cfg(feature = "tonic")]
#[test]
fn a_grpc_server_exports_the_streams_that_wait_for_their_client() {
    let metrics = Metrics::new();
    let server = plimsoll_stream::grpc::StreamServer::default();
    server.handle().export(&metrics, "public").unwrap();
    assert_lines(
        &metrics,
        r#"blocked_clients{name="public",part="grpc"} 0.0
        slow_disconnects_total{name="public",part="grpc",reason="write_deadline"} 0"#,
    );
}

#[cfg(feature = "listener")]
#[tokio::test]
async fn a_listener_exports_its_connections_and_what_the_kernel_holds() {
    use plimsoll_stream::listener::BackpressureListener;
    use tokio::net::{TcpListener, TcpStream};

    let metrics = Metrics::new();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = BackpressureListener::new(tcp);
    let handle = listener.handle();
    handle.export(&metrics, "public").unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, axum::Router::new()).await });
    let socket = TcpStream::connect(addr).await.unwrap();
    while handle.open() == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let unsent = if cfg!(target_os = "linux") {
        "0.0"
    } else {
        "NaN"
    };
    let expected = format!(
        r#"clients{{name="public",part="listener"}} 1.0
        blocked_clients{{name="public",part="listener"}} 0.0
        slow_disconnects_total{{name="public",part="listener",reason="write_deadline"}} 0
        slow_disconnects_total{{name="public",part="listener",reason="peer_timeout"}} 0
        unsent_bytes{{name="public",part="listener"}} {unsent}"#
    );
    assert_lines(&metrics, &expected);
    drop(socket);
    server.abort();
}

/// All policies, by index.
fn policy(index: usize) -> QueuePolicy {
    [
        QueuePolicy::BLOCK,
        QueuePolicy::DropOldest,
        QueuePolicy::DropNewest,
        QueuePolicy::DropRandom { seed: 7 },
        QueuePolicy::DropLowestPriority,
        QueuePolicy::DropExpired {
            ttl: Duration::from_millis(5),
        },
        QueuePolicy::Coalesce,
    ][index]
}

proptest! {
    /// Every loss has a series: no combination of policy and reason is missing.
    #[test]
    fn all_losses_of_a_queue_are_exported(steps in vec((0_u8..8, 0_usize..7, any::<u16>()), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        let metrics = Metrics::new();
        let queue = BoundedQueue::builder(3)
            .max_bytes_by(12, |item: &u16| usize::from(item % 8))
            .priority(|item| Criticality::ALL[usize::from(item % 4)].into())
            .key(|item| item % 3)
            .build()
            .unwrap();
        queue.export(&metrics, "all").unwrap();
        runtime.block_on(async {
            let mut permits = Vec::new();
            for (step, index, item) in steps {
                match step {
                    0 => queue.set_policy(policy(index)).unwrap(),
                    1 => permits.extend(queue.try_reserve(usize::from(item % 8)).ok()),
                    2 => _ = permits.pop().map(|permit: Permit<'_, u16>| permit.send(item)),
                    3 => _ = queue.try_recv(),
                    4 => tokio::time::advance(Duration::from_millis(3)).await,
                    _ => _ = queue.try_send(item),
                }
            }
        });
        let lost: u64 = queue.counters().lost().map(|(.., count)| count).sum();
        let lines = lines(&metrics);
        let exported = lines.iter().filter(|line| line.starts_with("queue_dropped_total"));
        let counts = exported.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        prop_assert_eq!(counts.sum::<u64>(), lost);
    }
}
