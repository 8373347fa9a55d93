//! Which of several equal waiters is next.

use plimsoll_concurrency::Order;
use tokio::time::advance;

use crate::{Call, Limit, MS, call, queued};

/// One call runs and these wait, in order of arrival. Ends calls until the queue is empty, and
/// returns the order in which they ran.
fn serve<'a>(mut running: Call<'a>, mut waiting: Vec<(u8, Call<'a>)>) -> Vec<u8> {
    let mut served = Vec::new();
    while !waiting.is_empty() {
        drop(running);
        let next = waiting.iter_mut().position(|(_, call)| call.is_running());
        let (name, next) = waiting.remove(next.expect("one waiter has the slot"));
        assert!(waiting.iter_mut().all(|(_, call)| call.is_waiting()));
        served.push(name);
        running = next;
    }
    served
}

fn limit(order: Order) -> Limit {
    queued(1, 8).order(order)
}

#[tokio::test(start_paused = true)]
async fn newest_first_serves_the_newest() {
    let limit = limit(Order::Lifo);
    let running = call(&limit);
    let mut waiting: Vec<_> = (0..5).map(|name| (name, call(&limit))).collect();
    waiting.remove(3);
    assert_eq!(serve(running, waiting), [4, 2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn adaptive_serves_the_oldest_first_in_a_queue_that_was_empty_recently() {
    let limit = limit(Order::AdaptiveLifo);
    let running = call(&limit);
    let waiting: Vec<_> = (0..3).map(|name| (name, call(&limit))).collect();
    advance(99 * MS).await;
    assert_eq!(serve(running, waiting), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn adaptive_serves_the_newest_first_in_a_queue_not_empty_for_an_interval() {
    let limit = limit(Order::AdaptiveLifo);
    let running = call(&limit);
    let waiting: Vec<_> = (0..3).map(|name| (name, call(&limit))).collect();
    advance(100 * MS).await;
    assert_eq!(serve(running, waiting), [2, 1, 0]);

    // The queue was empty, so congestion starts over.
    let running = call(&limit);
    let waiting: Vec<_> = (0..3).map(|name| (name, call(&limit))).collect();
    assert_eq!(serve(running, waiting), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_whose_waiters_change_is_congested_too() {
    let limit = limit(Order::AdaptiveLifo);
    let mut running = call(&limit);
    let mut waiting = call(&limit);
    for _ in 0..10 {
        let next = call(&limit);
        drop(std::mem::replace(
            &mut running,
            std::mem::replace(&mut waiting, next),
        ));
        assert!(running.is_running(), "each request waits for 10 ms");
        advance(10 * MS).await;
    }
    let mut newest = call(&limit);
    drop(running);
    assert!(newest.is_running() && waiting.is_waiting());
}

#[tokio::test(start_paused = true)]
async fn adaptive_order_uses_the_interval_of_the_controlled_delay() {
    let limit = limit(Order::AdaptiveLifo)
        .controlled_delay(300 * MS, 400 * MS)
        .unwrap();
    for (standing, served) in [(399, [0, 1, 2]), (400, [2, 1, 0])] {
        let running = call(&limit);
        let waiting: Vec<_> = (0..3).map(|name| (name, call(&limit))).collect();
        advance(standing * MS).await;
        assert_eq!(serve(running, waiting), served, "after {standing} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_can_be_changed_for_queued_requests() {
    let limit = limit(Order::Fifo);
    let handle = limit.handle();
    let running = call(&limit);
    let waiting: Vec<_> = (0..3).map(|name| (name, call(&limit))).collect();
    handle.set_order(Order::Lifo);
    assert_eq!(handle.order(), Order::Lifo);
    assert_eq!(serve(running, waiting), [2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_new_request_does_not_overtake_even_when_the_newest_is_served_first() {
    let limit = limit(Order::Lifo);
    let running = call(&limit);
    let mut first = call(&limit);
    drop(running);
    let mut late = call(&limit);
    assert!(
        late.is_waiting() && first.is_running(),
        "the slot was granted before"
    );
}
