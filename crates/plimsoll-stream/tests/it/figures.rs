//! What a dashboard reads of the parts.

use plimsoll_core::figures::Figures;
use plimsoll_stream::{Hub, QueuePolicy};

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
