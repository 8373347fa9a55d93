//! What a dashboard reads of the parts.

use std::{future::ready, time::Duration};

use futures_util::{StreamExt as _, stream};
use plimsoll_core::figures::Figures;
use plimsoll_stream::{Hub, Pipeline, QueuePolicy, Stage};
use tokio::time::sleep;

use super::queue;

fn read(of: &impl Figures) -> Vec<(&'static str, f64)> {
    let mut all = Vec::new();
    of.read(&mut |figure, value| all.push((figure.name, value)));
    all
}

#[tokio::test]
async fn a_queue_shows_its_depth_and_what_it_lost() {
    let queue = queue(4, QueuePolicy::DropOldest);
    for item in 0..6 {
        queue.send(item).await.unwrap();
    }
    _ = queue.recv().await;
    let expected = [
        ("queued", 3.0),
        ("queue_capacity", 4.0),
        ("load", 0.75),
        ("sent", 6.0),
        ("received", 1.0),
        ("dropped", 2.0),
        ("rejected", 0.0),
    ];
    assert_eq!(
        (Figures::policy(&queue), read(&queue)),
        ("queue", expected.to_vec())
    );
}

#[tokio::test]
async fn a_hub_shows_its_subscribers_and_what_they_missed() {
    let hub = Hub::<u8>::new(2).unwrap();
    let figures = hub.figures();
    let mut slow = hub.subscribe().unwrap();
    for item in 0..5 {
        hub.publish(item).unwrap();
    }
    _ = slow.recv().await;
    drop(slow);
    let all = read(&figures);
    assert_eq!(
        (figures.policy(), all[0], all[1]),
        ("hub", ("clients", 0.0), ("sent", 5.0))
    );
    assert!(all.contains(&("missed", 3.0)), "{all:?}");
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn a_work_queue_shows_its_workers_and_jobs() {
    use plimsoll_stream::work::{Job, WorkQueue};

    let work = WorkQueue::builder(8).workers(1).build().unwrap();
    let figures = work.figures();
    assert_eq!(work.run(Job::blocking(|| 7)).await.unwrap(), 7);
    // The job is counted after its answer was sent.
    while !read(&figures).contains(&("received", 1.0)) {
        tokio::task::yield_now().await;
    }
    let all = read(&figures);
    assert_eq!(figures.policy(), "work-queue");
    for expected in [
        ("limit", 1.0),
        ("queue_capacity", 8.0),
        ("sent", 1.0),
        ("received", 1.0),
    ] {
        assert!(all.contains(&expected), "{expected:?} in {all:?}");
    }
}

/// The settings, as name and text.
fn settings(of: &impl Figures) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    of.settings(&mut |name, text| all.push((name, text.to_string())));
    all
}

#[cfg(feature = "throttle")]
#[tokio::test(start_paused = true)]
async fn a_throttle_shows_its_quotas_and_what_had_to_wait() {
    use plimsoll_stream::{Quota, Throttle};

    let events = Quota::per_second(10).burst(2);
    let throttle = Throttle::builder().events(events).build().unwrap();
    let items = throttle.stream(stream::iter(["a"; 3]));
    assert_eq!(items.count().await, 3);
    let expected = [("quota_events", 10.0), ("received", 3.0), ("delayed", 1.0)];
    assert_eq!(read(&throttle), expected);
    assert_eq!(
        settings(&throttle),
        [("quota of events", events.to_string())]
    );

    let quota = Quota::per_minute(120);
    throttle.events().unwrap().set_quota(quota).unwrap();
    assert_eq!(read(&throttle)[0], ("quota_events", 2.0));
    let both = Throttle::builder()
        .events(events)
        .bytes(Quota::per_second(4096));
    let both = both.build().unwrap();
    assert_eq!(read(&both)[1], ("quota_weight", 4096.0));
    assert_eq!((both.policy(), settings(&both).len()), ("throttle", 2));
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_shows_what_is_in_it_and_each_of_its_stages() {
    let slow = |item: u32| async move {
        sleep(Duration::from_secs(1)).await;
        Ok::<_, std::io::Error>(item)
    };
    let run = Pipeline::from(stream::iter(0..100))
        .stage("slow", Stage::new(slow).concurrency(2).buffer(4))
        .for_each(|_| ready(Ok::<_, std::io::Error>(())))
        .unwrap();
    let handle = run.handle();
    let stage = handle.stage_figures("slow").unwrap();
    assert!(handle.stage_figures("fast").is_none());
    let task = tokio::spawn(run);
    sleep(Duration::from_millis(2_500)).await;
    // Two times two are done, two are in the stage, its buffer is full, and the source holds one.
    let all = read(&stage);
    let expected = [
        ("limit", 2.0),
        ("in_use", 2.0),
        ("queued", 4.0),
        ("queue_capacity", 4.0),
        ("load", 1.0),
        ("sent", 6.0),
        ("received", 4.0),
        ("busy", 4.0),
        ("failed", 0.0),
    ];
    assert_eq!((stage.policy(), all), ("stage", expected.to_vec()));
    let all = read(&handle);
    for expected in [
        ("queued", 4.0),
        ("load", 1.0),
        ("sent", 10.0),
        ("received", 4.0),
    ] {
        assert!(all.contains(&expected), "{expected:?} in {all:?}");
    }
    let texts = settings(&handle);
    assert!(texts.contains(&("slow", "2 at a time, in order, buffer of 4".to_owned())));

    handle.abort();
    _ = task.await.unwrap();
    let all = read(&handle);
    let lost = handle.discarded() as f64;
    assert!(lost >= 6.0 && all.contains(&("dropped", lost)), "{all:?}");
    assert!(
        all.contains(&("in_use", 0.0)) && all.contains(&("queued", 0.0)),
        "{all:?}"
    );
}

#[cfg(feature = "listener")]
#[tokio::test]
async fn a_listener_shows_its_connections_and_bytes() {
    use axum::{Router, routing::get};
    use plimsoll_stream::listener::BackpressureListener;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = BackpressureListener::builder(listener).build().unwrap();
    let handle = listener.handle();
    let app = Router::new().route("/", get(|| async { "hello" }));
    let server = tokio::spawn(async { axum::serve(listener, app).await });
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut response = [0; 1024];
    let length = client.read(&mut response).await.unwrap();
    let expected = [
        ("clients", 1.0),
        ("blocked", 0.0),
        ("accepted", 1.0),
        ("slow_connections", 0.0),
        ("slow_connections", 0.0),
        ("written", length as f64),
        ("read", request.len() as f64),
        ("option_errors", 0.0),
    ];
    assert_eq!(
        (Figures::policy(&handle), read(&handle)),
        ("listener", expected.to_vec())
    );
    drop(client);
    let closed = async {
        while !read(&handle).contains(&("clients", 0.0)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed)
        .await
        .unwrap();
    server.abort();
}
