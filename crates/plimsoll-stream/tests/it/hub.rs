//! One publisher, many subscribers.

mod resume;

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use plimsoll_stream::{
    Delivery, DropReason, Ended, Gap, Hub, InvalidHub, LagPolicy, PublishError, SubscribeError,
    Subscription,
};

/// What `try_recv` returns for an item.
#[allow(clippy::unnecessary_wraps)]
fn item<T>(seq: u64, item: T) -> Result<Option<Delivery<T>>, Ended> {
    Ok(Some(Delivery::Item { seq, item }))
}

/// What `try_recv` returns for a gap.
#[allow(clippy::unnecessary_wraps)]
fn gap<T>(from: u64, to: u64, reason: DropReason) -> Result<Option<Delivery<T>>, Ended> {
    Ok(Some(Delivery::Gap(Gap { from, to, reason })))
}

fn publish<T: Clone>(hub: &Hub<T>, items: impl IntoIterator<Item = T>) {
    for item in items {
        assert!(hub.publish(item).is_ok());
    }
}

fn received(subscription: &mut Subscription<u64>) -> Vec<u64> {
    let mut items = Vec::new();
    while let Ok(Some(delivery)) = subscription.try_recv() {
        if let Delivery::Item { item, .. } = delivery {
            items.push(item);
        }
    }
    items
}

#[tokio::test]
async fn each_subscriber_receives_each_item_in_order() {
    let hub = Hub::new(1_000).unwrap();
    let mut subscriptions: Vec<_> = (0..3).map(|_| hub.subscribe().unwrap()).collect();
    publish(&hub, 0..500_u64);
    for subscription in &mut subscriptions {
        assert_eq!(received(subscription), (0..500).collect::<Vec<_>>());
    }
    assert_eq!(hub.counters().published, 500);
    drop(subscriptions);
    assert_eq!(hub.counters().delivered, 1_500);
    assert_eq!(hub.subscribers(), 0);
}

#[tokio::test]
async fn a_waiting_subscriber_is_woken_and_counted() {
    let hub = Hub::new(4).unwrap();
    let mut subscription = hub.subscribe().unwrap();
    let task = tokio::spawn(async move { subscription.recv().await });
    tokio::task::yield_now().await;
    let published = hub.publish("a").unwrap();
    assert_eq!((published.seq, published.woken), (1, 1));
    assert_eq!(
        task.await.unwrap(),
        Ok(Delivery::Item { seq: 1, item: "a" })
    );
    assert_eq!(hub.publish("b").unwrap().woken, 0);
}

#[tokio::test]
async fn a_slow_subscriber_skips_to_its_bound_and_sees_the_gap() {
    let hub = Hub::new(100).unwrap();
    let mut slow = hub.subscriber().max_lag(3).subscribe().unwrap();
    let mut fast = hub.subscribe().unwrap();
    publish(&hub, 1..=10_u64);
    assert_eq!(slow.lag(), 10);
    assert_eq!(slow.try_recv(), gap(1, 7, DropReason::Oldest));
    assert_eq!(received(&mut slow), [8, 9, 10]);
    assert_eq!(received(&mut fast).len(), 10);
    let counters = hub.counters();
    assert_eq!((counters.gaps, counters.missed), (1, 7));
}

#[tokio::test]
async fn a_bound_in_bytes_of_a_subscriber_holds() {
    let hub = Hub::<String>::builder(100)
        .max_bytes(1_000)
        .build()
        .unwrap();
    let mut slow = hub.subscriber().max_lag_bytes(20).subscribe().unwrap();
    publish(&hub, (0..5).map(|n| n.to_string().repeat(10)));
    assert_eq!(slow.try_recv(), gap(1, 3, DropReason::Oldest));
    assert_eq!(slow.try_recv(), item(4, "3".repeat(10)));
}

#[tokio::test]
async fn a_subscriber_that_is_disconnected_hears_how_far_it_was_behind() {
    let hub = Hub::new(100).unwrap();
    let subscriber = hub.subscriber().policy(LagPolicy::Disconnect).max_lag(3);
    let mut slow = subscriber.subscribe().unwrap();
    publish(&hub, 1..=3_u64);
    assert_eq!(slow.try_recv(), item(1, 1));
    publish(&hub, 4..=5);
    for _ in 0..2 {
        assert_eq!(slow.try_recv(), Err(Ended::Slow { lag: 4 }));
    }
    assert_eq!(hub.counters().disconnected, 1);
}

#[tokio::test]
async fn a_subscriber_that_coalesces_receives_the_latest_of_each_key() {
    let hub = Hub::builder(100)
        .key(10, |item: &(char, u32)| item.0)
        .build()
        .unwrap();
    let subscriber = hub.subscriber().policy(LagPolicy::Coalesce).max_lag(2);
    let mut slow = subscriber.subscribe().unwrap();
    publish(&hub, [('a', 1), ('b', 2)]);
    assert_eq!(slow.try_recv(), item(1, ('a', 1)));
    publish(&hub, [('a', 3), ('c', 4), ('a', 5)]);
    // Behind by four: the changes since 'a' are 'b', 'c' and 'a' again.
    assert_eq!(slow.try_recv(), item(2, ('b', 2)));
    assert_eq!(slow.try_recv(), gap(3, 3, DropReason::Replaced));
    assert_eq!(slow.try_recv(), item(4, ('c', 4)));
    assert_eq!(slow.try_recv(), item(5, ('a', 5)));
    publish(&hub, [('d', 6)]);
    assert_eq!(slow.try_recv(), item(6, ('d', 6)));
    assert_eq!(slow.try_recv(), Ok(None));
}

#[tokio::test]
async fn the_latest_of_a_key_outlives_the_log() {
    let hub = Hub::builder(4)
        .key(10, |item: &(char, u32)| item.0)
        .build()
        .unwrap();
    let subscriber = hub.subscriber().policy(LagPolicy::Coalesce);
    let mut slow = subscriber.subscribe().unwrap();
    publish(&hub, [('a', 1)]);
    publish(&hub, (0..1_000).map(|n| ('b', n)));
    assert_eq!(slow.try_recv(), item(1, ('a', 1)));
    assert_eq!(slow.try_recv(), gap(2, 1_000, DropReason::Replaced));
    assert_eq!(slow.try_recv(), item(1_001, ('b', 999)));
}

#[tokio::test]
async fn keys_beyond_the_bound_are_a_gap_for_several_reasons() {
    let hub = Hub::builder(4).key(2, |item: &u32| *item).build().unwrap();
    let subscriber = hub.subscriber().policy(LagPolicy::Coalesce);
    let mut slow = subscriber.subscribe().unwrap();
    publish(&hub, 1..=50);
    assert_eq!(slow.try_recv(), gap(1, 48, DropReason::Several));
    assert_eq!(slow.try_recv(), item(49, 49));
    assert_eq!(slow.try_recv(), item(50, 50));
}

#[tokio::test]
async fn a_gap_has_several_reasons_only_for_a_subscriber_that_missed_the_evicted_key() {
    let hub = Hub::builder(4).key(2, |key: &char| *key).build().unwrap();
    let subscribe = || hub.subscriber().policy(LagPolicy::Coalesce).subscribe();
    let (mut slow, mut ahead) = (subscribe().unwrap(), subscribe().unwrap());
    publish(&hub, ['a']);
    assert_eq!(ahead.try_recv(), item(1, 'a'));
    // The third key evicts the first one.
    publish(&hub, ['b', 'c', 'b', 'c', 'b']);
    assert_eq!(slow.try_recv(), gap(1, 4, DropReason::Several));
    assert_eq!(ahead.try_recv(), gap(2, 4, DropReason::Replaced));
    for mut subscriber in [slow, ahead] {
        assert_eq!(subscriber.try_recv(), item(5, 'c'));
        assert_eq!(subscriber.try_recv(), item(6, 'b'));
    }
    assert_eq!(hub.counters().delivered, 5);
}

#[tokio::test]
async fn memory_is_bounded_in_items_and_bytes() {
    let hub = Hub::<String>::builder(1_000)
        .max_bytes(10_000)
        .build()
        .unwrap();
    let subscription = hub.subscribe().unwrap();
    publish(&hub, (0..5_000).map(|_| "x".repeat(100)));
    assert!((100..=140).contains(&hub.len()), "{}", hub.len());
    let oldest = hub.oldest();
    assert_eq!(hub.cursor().seq - oldest.seq, 100);
    let error = hub.publish("x".repeat(10_001)).unwrap_err();
    assert!(matches!(
        error,
        PublishError::TooLarge {
            weight: 10_001,
            max: 10_000,
            ..
        }
    ));
    drop(subscription);
}

#[tokio::test]
async fn items_are_dropped_when_the_log_and_stalled_subscribers_have_bounds() {
    use std::sync::Arc;
    let hub = Hub::new(64).unwrap();
    let mut subscriptions = Vec::new();
    let counted = Arc::new(());
    for _ in 0..100 {
        subscriptions.push(hub.subscribe().unwrap());
        publish(&hub, (0..64).map(|_| Arc::clone(&counted)));
    }
    // 100 stalled subscribers, each with a segment of its own of 32 items at most.
    assert!(Arc::strong_count(&counted) <= 64 + 32 + 100 * 32 + 1);
    drop(subscriptions);
    assert!(Arc::strong_count(&counted) <= 64 + 32 + 1);
}

#[tokio::test]
async fn subscribers_are_bounded_and_counted_out() {
    let hub = Hub::<u8>::builder(1).max_subscribers(2).build().unwrap();
    let one = hub.subscribe().unwrap();
    let _two = hub.subscribe().unwrap();
    assert_eq!(hub.subscribe().err(), Some(SubscribeError::Full { max: 2 }));
    drop(one);
    assert!(hub.subscribe().is_ok());
}

#[tokio::test]
async fn a_closed_hub_delivers_the_rest_and_then_ends() {
    let hub = Hub::new(4).unwrap();
    let mut first = hub.subscribe().unwrap();
    let waits = hub.subscribe().unwrap();
    publish(&hub, [1]);
    let waits = tokio::spawn(waits.collect::<Vec<_>>());
    tokio::task::yield_now().await;
    assert!(hub.close());
    assert!(!hub.close());
    assert_eq!(hub.publish(2), Err(PublishError::Closed(2)));
    assert_eq!(hub.subscribe().err(), Some(SubscribeError::Closed));
    assert_eq!(first.recv().await, Ok(Delivery::Item { seq: 1, item: 1 }));
    assert_eq!(first.recv().await, Err(Ended::Closed));
    assert_eq!(waits.await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_last_clone_closes_the_hub() {
    let hub = Hub::<u8>::new(4).unwrap();
    let mut subscription = hub.subscribe().unwrap();
    let clone = hub.clone();
    drop(hub);
    assert_eq!(subscription.try_recv(), Ok(None));
    assert!(subscription.recv().now_or_never().is_none());
    drop(clone);
    assert_eq!(subscription.recv().await, Err(Ended::Closed));
}

#[tokio::test]
async fn bad_settings_are_errors_that_name_the_field() {
    let build = |text: &str| match text {
        "capacity" => Hub::<u8>::new(0).err(),
        "max_bytes" => Hub::<String>::builder(1).max_bytes(0).build().err(),
        "ttl" => Hub::<u8>::builder(1).ttl(Duration::ZERO).build().err(),
        "max_keys" => Hub::<u8>::builder(1).key(0, |n| *n).build().err(),
        _ => Hub::<u8>::builder(1).max_subscribers(0).build().err(),
    };
    for field in [
        "capacity",
        "max_bytes",
        "ttl",
        "max_keys",
        "max_subscribers",
    ] {
        let error: InvalidHub = build(field).unwrap();
        assert!(error.to_string().starts_with(field), "{error}");
    }
    let hub = Hub::<u8>::new(10).unwrap();
    for lag in [0, 11] {
        let error = hub.subscriber().max_lag(lag).subscribe().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("max_lag is {lag} items, it must be 1 to 10, the capacity of the hub")
        );
    }
    let error = hub.subscriber().max_lag_bytes(5).subscribe().unwrap_err();
    assert_eq!(error, SubscribeError::MaxLagBytes { bytes: 5, max: 0 });
    let error = hub
        .subscriber()
        .policy(LagPolicy::Coalesce)
        .subscribe()
        .unwrap_err();
    assert_eq!(error, SubscribeError::NoKey);
    assert_eq!(hub.subscribers(), 0);
}
