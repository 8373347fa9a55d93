//! Bursts wait, and a lasting overload is served with short waits.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use plimsoll_concurrency::{ConcurrencyLimit, InvalidConcurrencyLimit, Order};
use plimsoll_core::{GateLayer, Kind};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, ServiceExt, service_fn};

use crate::{Call, Limit, MS, call, queued};

/// Target 5 ms and interval 100 ms, as in folly.
fn controlled(len: usize) -> Limit {
    queued(1, len).controlled_delay(5 * MS, 100 * MS).unwrap()
}

/// Ends the running call, and returns which waiter runs next.
fn serve_next<'a>(
    running: &mut Option<Call<'a>>,
    waiting: &mut Vec<(u32, Call<'a>)>,
) -> Option<u32> {
    *running = None;
    let next = waiting.iter_mut().position(|(_, call)| call.is_running())?;
    let (name, call) = waiting.remove(next);
    *running = Some(call);
    Some(name)
}

#[tokio::test(start_paused = true)]
async fn a_burst_may_wait_for_the_longest_wait() {
    let limit = controlled(8);
    let mut running = Some(call(&limit));
    let mut waiting: Vec<_> = (0..8).map(|name| (name, call(&limit))).collect();
    for name in 0..8 {
        advance(12 * MS).await;
        assert_eq!(
            serve_next(&mut running, &mut waiting),
            Some(name),
            "96 ms at most"
        );
    }
    assert_eq!(limit.handle().overdue(), 0);
}

#[tokio::test(start_paused = true)]
async fn in_a_standing_queue_overdue_waiters_are_rejected_at_their_turn() {
    let limit = controlled(16);
    let handle = limit.handle();
    let mut running = Some(call(&limit));
    let mut waiting: Vec<_> = (0..8).map(|name| (name, call(&limit))).collect();
    for name in 0..3 {
        advance(60 * MS).await; // turns at 60, 120 and 180 ms: the third starts an interval
        assert_eq!(serve_next(&mut running, &mut waiting), Some(name));
    }
    advance(5 * MS).await;
    let (wakes, waker) = crate::counting_waker();
    let fresh = (8, call(&limit));
    waiting.push(fresh);
    for (_, call) in &mut waiting {
        call.poll_with(&waker);
    }
    advance(10 * MS).await;
    assert_eq!(
        serve_next(&mut running, &mut waiting),
        Some(8),
        "waited 10 ms"
    );
    assert_eq!(wakes.count(), 6, "the five before it were rejected at once");
    for (_, call) in &mut waiting {
        let rejection = call.rejection().unwrap();
        assert_eq!(rejection.kind(), Kind::Full);
        assert!(rejection.retry_after().is_some());
    }
    assert_eq!(
        (handle.overdue(), handle.timed_out(), handle.queued()),
        (5, 0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_controlled_delay_no_waiter_is_rejected_at_its_turn() {
    let limit = controlled(8);
    limit.handle().clear_controlled_delay();
    let mut running = Some(call(&limit));
    let mut waiting: Vec<_> = (0..8).map(|name| (name, call(&limit))).collect();
    for name in 0..8 {
        advance(60 * MS).await;
        assert_eq!(serve_next(&mut running, &mut waiting), Some(name));
    }
}

#[tokio::test(start_paused = true)]
async fn newest_first_waiters_left_from_an_overload_are_rejected_at_their_turn() {
    let limit = controlled(16).order(Order::Lifo);
    let mut running = call(&limit);
    let mut old = call(&limit);
    for _ in 0..25 {
        advance(9 * MS).await;
        let fresh = call(&limit);
        advance(MS).await;
        drop(std::mem::replace(&mut running, fresh));
        assert!(running.is_running(), "served requests wait for 1 ms");
    }
    assert!(old.is_waiting());
    drop(running);
    assert!(old.rejection().is_some());
    assert_eq!(limit.handle().overdue(), 1);
    assert!(call(&limit).is_running());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_empty_once_per_interval_is_not_shortened() {
    let limit = controlled(16);
    let mut running = Some(call(&limit));
    for _ in 0..20 {
        // One call of 50 ms after the other, and always one waiter.
        let mut waiting = vec![(0, call(&limit)), (1, call(&limit))];
        for name in 0..2 {
            advance(50 * MS).await;
            assert_eq!(serve_next(&mut running, &mut waiting), Some(name));
        }
    }
    assert_eq!(limit.handle().overdue(), 0);
}

/// 200 requests a second fit, 500 arrive. Returns how many were served in the second half of 4
/// seconds, and the longest wait of these.
async fn lasting_overload(limit: ConcurrencyLimit) -> (usize, Duration) {
    let layer = GateLayer::new(limit);
    let waits = Arc::new(Mutex::new(Vec::new()));
    let began = Instant::now();
    let inner = {
        let waits = Arc::clone(&waits);
        service_fn(move |req: Request<Empty<bytes::Bytes>>| {
            let waits = Arc::clone(&waits);
            async move {
                let came = *req.extensions().get::<Instant>().unwrap();
                if began.elapsed() > Duration::from_secs(2) {
                    waits.lock().unwrap().push(came.elapsed());
                }
                sleep(20 * MS).await;
                Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
            }
        })
    };
    let service = layer.layer(inner);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..2000 {
        sleep(2 * MS).await;
        let mut req = Request::new(Empty::new());
        req.extensions_mut().insert(Instant::now());
        let call = service.clone().oneshot(req);
        tasks.spawn(async move {
            let status = call.await.unwrap().status();
            assert!(matches!(
                status,
                StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE
            ));
        });
    }
    while began.elapsed() < Duration::from_secs(4) {
        sleep(MS).await;
    }
    let waits = waits.lock().unwrap();
    (waits.len(), waits.iter().copied().max().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_lasting_overload_is_served_with_short_waits_and_full_slots() {
    let limit = || {
        ConcurrencyLimit::new(4)
            .unwrap()
            .queue(128, Duration::from_secs(1))
            .unwrap()
    };
    let (plain, longest) = lasting_overload(limit()).await;
    assert!(plain >= 380 && longest > 400 * MS, "{plain}, {longest:?}");

    let controlled = limit().controlled_delay(10 * MS, 100 * MS).unwrap();
    let (served, longest) = lasting_overload(controlled).await;
    assert!(served >= 376, "of 400 that fit: {served}");
    assert!(longest <= 60 * MS, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn newest_first_with_a_controlled_delay_serves_recent_requests() {
    let limit = ConcurrencyLimit::new(4)
        .unwrap()
        .queue(128, Duration::from_secs(1))
        .unwrap()
        .order(Order::AdaptiveLifo)
        .controlled_delay(10 * MS, 100 * MS)
        .unwrap();
    let (served, longest) = lasting_overload(limit).await;
    assert!(served >= 380, "{served}");
    assert!(longest <= 20 * MS, "{longest:?}");
}

#[test]
fn target_and_interval_are_checked_and_read_back() {
    let limit = |target, interval| queued(1, 1).controlled_delay(target, interval);
    for (target, interval) in [(0, 100), (100, 100), (101, 100)] {
        let (target, interval) = (target * MS, interval * MS);
        let error = limit(target, interval).unwrap_err();
        assert_eq!(error, InvalidConcurrencyLimit::Target { target, interval });
    }
    let nearly = Duration::from_nanos(99_999_999);
    assert!(limit(nearly, 100 * MS).is_err(), "the same in microseconds");
    assert!(limit(Duration::MAX, 100 * MS).is_err());
    assert_eq!(
        limit(MS, 60_001 * MS).unwrap_err().to_string(),
        "interval must be at most 1 minute, got 60.001s"
    );

    let handle = limit(5 * MS, 100 * MS).unwrap().handle();
    assert!(handle.set_controlled_delay(MS, MS).is_err());
    assert_eq!(handle.controlled_delay(), Some((5 * MS, 100 * MS)));
    handle
        .set_controlled_delay(Duration::from_nanos(1), 60_000 * MS)
        .unwrap();
    assert_eq!(
        handle.controlled_delay(),
        Some((Duration::from_micros(1), 60_000 * MS))
    );
    handle.clear_controlled_delay();
    assert_eq!(handle.controlled_delay(), None);
}
