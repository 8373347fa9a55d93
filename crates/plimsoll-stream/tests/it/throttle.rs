//! Token buckets for streams, under a paused clock.

mod model;

use std::{future::poll_fn, pin::pin, time::Duration};

use futures_util::{FutureExt, Stream, StreamExt, stream};
use plimsoll_stream::{BoundedQueue, QueuePolicy, Quota, Throttle};
use tokio::time::{Instant, advance, sleep, timeout};

const MS: Duration = Duration::from_millis(1);

fn events(quota: Quota) -> Throttle {
    Throttle::builder().events(quota).build().expect("valid")
}

fn bytes(quota: Quota) -> Throttle {
    Throttle::builder().bytes(quota).build().expect("valid")
}

/// One token per `ms` milliseconds.
fn every(ms: u64, burst: u32) -> Quota {
    Quota::new(1, MS * u32::try_from(ms).unwrap()).burst(burst)
}

/// The times at which the items come out, in milliseconds.
async fn times(items: impl Stream) -> Vec<u64> {
    let start = Instant::now();
    let times = items.map(|_| start.elapsed().as_millis() as u64);
    times.collect().await
}

/// Items that weigh what they say.
fn weights(throttle: &Throttle, weights: &[usize]) -> impl Stream<Item = usize> + use<> {
    throttle.stream_by(stream::iter(weights.to_vec()), |weight| *weight)
}

#[tokio::test(start_paused = true)]
async fn events_pass_in_a_burst_and_then_at_the_rate() {
    let throttle = events(every(100, 3));
    let items = throttle.stream(stream::iter(["a"; 6]));
    assert_eq!(times(items).await, [0, 0, 0, 100, 200, 300]);
    assert_eq!((throttle.passed(), throttle.delayed()), (6, 3));
    sleep(Duration::from_secs(1)).await;
    let items = throttle.stream(stream::iter(["a"; 4]));
    assert_eq!(times(items).await, [0, 0, 0, 100], "refilled");
}

#[tokio::test(start_paused = true)]
async fn a_window_admits_its_count_at_once() {
    let throttle = bytes(Quota::new(10, MS * 100).fixed_window());
    let items = weights(&throttle, &[5, 5, 1, 20, 1]);
    // 20 waits for a whole window and owes another one.
    assert_eq!(times(items).await, [0, 0, 100, 200, 400]);
}

#[tokio::test(start_paused = true)]
async fn bytes_pass_by_their_weight() {
    let throttle = bytes(every(1, 1_000));
    let items = weights(&throttle, &[600, 400, 250, 0, 50]);
    assert_eq!(times(items).await, [0, 0, 250, 250, 300]);
    let strings = bytes(every(1, 4)).stream(stream::iter(["four", "four", "six by"]));
    assert_eq!(times(strings).await, [0, 4, 8], "the weight of a string");
}

#[tokio::test(start_paused = true)]
async fn an_item_waits_for_the_slower_of_its_buckets() {
    let throttle = Throttle::builder()
        .events(every(10, 1))
        .bytes(every(1, 100))
        .build()
        .unwrap();
    let items = weights(&throttle, &[100, 5, 50, 0]);
    // Bytes: 100 at 0, then 5 at 5 and 50 at 55. Events: 0, 10, 20, 30.
    assert_eq!(times(items).await, [0, 10, 55, 65]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_spent_while_an_item_waits_for_another_bucket() {
    let all = bytes(every(1, 100));
    let slow = Throttle::builder()
        .events(every(1_000, 1))
        .within(&all)
        .build()
        .unwrap();
    let mut waiting = pin!(weights(&slow, &[10, 60]));
    assert_eq!(waiting.next().await, Some(10));
    assert_eq!(waiting.next().now_or_never(), None, "waits for its event");
    // The bucket of all still has 90.
    let mut quick = pin!(weights(&all, &[60, 30, 1]));
    assert_eq!(quick.next().now_or_never(), Some(Some(60)));
    assert_eq!(quick.next().now_or_never(), Some(Some(30)));
    assert_eq!(quick.next().now_or_never(), None);
    let start = Instant::now();
    assert_eq!(waiting.next().await, Some(60));
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_item_that_waits_for_all_leaves_its_own_tokens() {
    let all = bytes(every(1, 100));
    let one = Throttle::builder()
        .events(every(1_000, 1))
        .within(&all)
        .build()
        .unwrap();
    let drained = weights(&all, &[100]);
    assert_eq!(times(drained).await, [0]);
    let mut waiting = pin!(weights(&one, &[50]));
    assert_eq!(waiting.next().now_or_never(), None);
    // Another stream of the same subscriber takes its event, with an item that weighs nothing.
    let mut other = pin!(weights(&one, &[0, 0]));
    advance(MS).await;
    assert_eq!(other.next().now_or_never(), None, "behind the first one");
    advance(MS * 120).await;
    assert_eq!(other.next().now_or_never(), Some(Some(0)));
}

#[tokio::test(start_paused = true)]
async fn an_item_heavier_than_the_burst_takes_a_full_bucket_and_owes_the_rest() {
    let throttle = bytes(every(1, 100));
    let items = weights(&throttle, &[50, 1_000, 10, 1]);
    // 100 at 50; the 900 that are left by 950; 10 more at 960.
    assert_eq!(times(items).await, [0, 50, 960, 961]);
    let huge = weights(&throttle, &[usize::MAX]);
    assert_eq!(
        times(huge).await,
        [100],
        "it passes, and owes nothing when it is dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_next_loses_no_item_and_no_turn() {
    let throttle = events(every(100, 1));
    let mut items = pin!(throttle.stream_by(stream::iter(0..3), |_| 0));
    let start = Instant::now();
    let mut seen = Vec::new();
    for _ in 0..40 {
        if let Ok(Some(item)) = timeout(MS * 7, items.next()).await {
            seen.push((item, start.elapsed().as_millis()));
        }
    }
    assert_eq!(seen, [(0, 0), (1, 100), (2, 200)]);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_waits_can_be_taken_out() {
    let throttle = events(every(100, 1));
    let mut items = Box::pin(throttle.stream(stream::iter(["a", "b", "c"])));
    assert_eq!(items.next().await, Some("a"));
    assert_eq!(items.next().now_or_never(), None);
    assert_eq!(items.as_mut().take_waiting(), Some("b"));
    assert_eq!(items.as_mut().take_waiting(), None);
    let start = Instant::now();
    assert_eq!(items.next().await, Some("c"));
    assert_eq!(start.elapsed(), MS * 100, "`b` has spent nothing");
}

#[tokio::test(start_paused = true)]
async fn streams_that_share_a_bucket_pass_in_order_and_are_woken_once() {
    let all = events(Quota::per_second(1_000).burst(1));
    let start = Instant::now();
    let tasks = (0..1_000_u64).map(|id| {
        let one = Throttle::builder().events(every(1, 10)).within(&all);
        let items = one.build().unwrap().stream_by(stream::iter([id]), |_| 0);
        tokio::spawn(async move {
            let (mut items, mut polls) = (pin!(items), 0);
            poll_fn(|cx| {
                polls += 1;
                items.as_mut().poll_next(cx)
            })
            .await;
            (start.elapsed().as_millis() as u64, polls)
        })
    });
    for (id, task) in tasks.collect::<Vec<_>>().into_iter().enumerate() {
        let (at, polls) = task.await.unwrap();
        assert_eq!(at, id as u64);
        assert!(polls <= 2, "stream {id} was woken {} times", polls - 1);
    }
    assert_eq!(all.delayed(), 0, "counted by the inner throttles");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_polled_delays_nobody() {
    let all = events(every(100, 1));
    let item = || Box::pin(all.stream(stream::iter(["a"])));
    assert_eq!(times(item()).await, [0]);
    let mut stalled = item();
    assert_eq!(stalled.next().now_or_never(), None, "its turn is at 100");
    // Its turn is skipped, not waited for.
    assert_eq!(times(item()).await, [200]);
    let mut late = item();
    assert_eq!(
        late.next().now_or_never(),
        None,
        "the token of the stalled one was lost"
    );
    assert_eq!(times(stalled).await, [100]);
}

#[tokio::test(start_paused = true)]
async fn light_items_do_not_starve_a_heavy_one() {
    let all = bytes(every(1, 100));
    let light = |count| weights(&all, &vec![1; count]);
    assert_eq!(times(weights(&all, &[100])).await, [0]);
    let heavy = tokio::spawn(times(weights(&all, &[100])));
    tokio::task::yield_now().await;
    let light = times(light(50)).await;
    assert_eq!(heavy.await.unwrap(), [100]);
    assert_eq!(light[0], 101, "behind the heavy one");
    assert_eq!(light[49], 150);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_releases_its_turn() {
    let all = bytes(every(1, 100));
    assert_eq!(times(weights(&all, &[100])).await, [0]);
    let mut heavy = Box::pin(weights(&all, &[100]));
    assert_eq!(heavy.next().now_or_never(), None);
    drop(heavy);
    assert_eq!(times(weights(&all, &[1])).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_for_its_own_tokens_does_not_queue_for_those_of_all() {
    let all = events(every(10, 1));
    let slow = Throttle::builder()
        .events(every(1_000, 1))
        .within(&all)
        .build()
        .unwrap();
    let mut own = pin!(slow.stream(stream::iter(["a", "b"])));
    assert_eq!(own.next().await, Some("a"));
    // Something waits for the tokens of all, so the line is busy.
    let mut first = pin!(all.stream(stream::iter(["c"])));
    assert_eq!(first.next().now_or_never(), None);
    assert_eq!(own.next().now_or_never(), None);
    let start = Instant::now();
    assert_eq!(times(all.stream(stream::iter(["d"]))).await, [20]);
    assert_eq!(own.next().await, Some("b"));
    assert_eq!(start.elapsed().as_millis(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_queue_loses_nothing() {
    let queue = BoundedQueue::new(1_000, QueuePolicy::BLOCK).unwrap();
    for n in 0..100 {
        queue.send(n).await.unwrap();
    }
    queue.close();
    let throttle = events(every(1, 10));
    let items = throttle.stream_by(queue.items(), |_| 0);
    assert_eq!(
        items.collect::<Vec<_>>().await,
        (0..100).collect::<Vec<_>>()
    );
}

#[tokio::test(start_paused = true)]
async fn quotas_are_changed_while_streams_run() {
    let throttle = events(every(100, 1));
    let mut items = pin!(throttle.stream_by(stream::repeat(()), |()| 0));
    items.next().await;
    throttle.events().unwrap().set_quota(every(10, 1)).unwrap();
    assert!(throttle.bytes().is_none());
    let start = Instant::now();
    items.next().await;
    items.next().await;
    assert_eq!(start.elapsed(), MS * 20);
}

#[test]
fn settings_out_of_bounds_name_themselves() {
    let error =
        |builder: plimsoll_stream::ThrottleBuilder| builder.build().unwrap_err().to_string();
    assert_eq!(
        error(Throttle::builder()),
        "events or bytes must be set, got neither"
    );
    let zero = Quota::per_second(0);
    let said = error(Throttle::builder().events(zero));
    assert!(
        said.starts_with("events: ") && said.contains("count"),
        "{said}"
    );
    let said = error(Throttle::builder().bytes(zero));
    assert!(
        said.starts_with("bytes: ") && said.contains("count"),
        "{said}"
    );
    let all = events(Quota::per_second(1));
    let inner = Throttle::builder()
        .events(Quota::per_second(1))
        .within(&all)
        .build()
        .unwrap();
    assert_eq!(
        error(
            Throttle::builder()
                .events(Quota::per_second(1))
                .within(&inner)
        ),
        "within must be a throttle on the outside, got one that is within another"
    );
}
