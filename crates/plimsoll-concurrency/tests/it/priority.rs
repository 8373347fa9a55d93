//! The highest priority first, and which waiter is evicted.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use plimsoll_concurrency::{ConcurrencyLimit, ConcurrencyLimitLayer, Order};
use plimsoll_core::{ByExtension, Criticality, GateLayer, Kind, Priority};
use tower::{Layer, ServiceExt, service_fn};

use crate::{MS, call, call_with, counting_waker, queued, ranked, woken};

/// A priority with a fixed cohort.
fn level(level: u16) -> Priority {
    let criticality = Criticality::ALL[usize::from(level / Priority::COHORTS)];
    Priority::new(criticality).in_cohort((level % Priority::COHORTS) as u8)
}

#[tokio::test(start_paused = true)]
async fn slots_go_to_the_highest_criticality_and_within_it_by_order() {
    for (order, expected) in [
        // The last two are alone in the queue with their criticality.
        (Order::Fifo, [2, 0, 3, 5, 4, 1]),
        (Order::Lifo, [2, 5, 3, 0, 4, 1]),
    ] {
        let limit = ranked(1, 8).order(order);
        let mut running = call_with(&limit, level(0));
        let levels = [300, 7, 511, 300, 8, 301];
        let mut waiting: Vec<_> = (0..)
            .zip(levels)
            .map(|(name, at)| (name, call_with(&limit, level(at))))
            .collect();
        for name in expected {
            drop(running);
            let next = waiting.iter_mut().position(|(_, call)| call.is_running());
            let (served, next) = waiting.remove(next.expect("one waiter has the slot"));
            assert_eq!(served, name, "{order:?}");
            running = next;
        }
    }
}

/// Three waiters of one criticality, later ones in higher cohorts. Returns which of them gets the
/// first slot `after` milliseconds.
async fn first_of_three(among_others: bool, after: u32) -> usize {
    let limit = ranked(1, 8);
    let running = call(&limit);
    let _other = among_others.then(|| call_with(&limit, level(0)));
    let mut waiting = [384, 400, 511].map(|at| call_with(&limit, level(at)));
    tokio::time::advance(after * MS).await;
    drop(running);
    let next = waiting.iter_mut().position(crate::Call::is_running);
    next.expect("the slot went to one of them")
}

#[tokio::test(start_paused = true)]
async fn cohorts_decide_only_when_part_of_a_criticality_will_not_be_served() {
    assert_eq!(
        first_of_three(true, 499).await,
        0,
        "others can be evicted: the oldest is next"
    );
    assert_eq!(
        first_of_three(true, 500).await,
        2,
        "the first has waited for half of the longest wait"
    );
    assert_eq!(
        first_of_three(false, 0).await,
        2,
        "no waiter can be evicted"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_makes_a_backlog_long_sooner() {
    let limit = ranked(1, 8);
    for (after, served) in [(49, 0), (50, 1)] {
        let running = call(&limit);
        let _low = call_with(&limit, level(0));
        let soon = tokio::time::Instant::now() + 100 * MS;
        let mut first = call_with(
            &limit,
            crate::Req {
                deadline: Some(plimsoll_core::Deadline(soon)),
                priority: level(384),
            },
        );
        let mut second = call_with(&limit, level(511));
        tokio::time::advance(after * MS).await;
        drop(running);
        let running = [first.is_running(), second.is_running()];
        assert_eq!(running.iter().position(|is| *is), Some(served));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_of_higher_priority_evicts_the_newest_of_the_lowest_level() {
    let limit = ranked(1, 4);
    let handle = limit.handle();
    let running = call(&limit);
    let mut middle = call_with(&limit, level(200));
    let mut old = call_with(&limit, level(100));
    let mut new = call_with(&limit, level(100));
    let mut high = call_with(&limit, level(300));
    let (wakes, waker) = counting_waker();
    new.poll_with(&waker);

    let mut arrival = call_with(&limit, level(101));
    assert_eq!((wakes.count(), handle.queued()), (1, 4));
    let rejection = new.rejection().unwrap();
    assert_eq!(rejection.kind(), Kind::Full);
    assert!(rejection.retry_after().is_some(), "it may come back");
    assert_eq!((handle.evicted(), handle.rejected()), (1, 0));
    assert!(arrival.is_waiting() && old.is_waiting() && middle.is_waiting() && high.is_waiting());

    // First the other waiter of that level is evicted, then the new waiter itself.
    let mut next = call_with(&limit, level(102));
    assert!(old.rejection().is_some() && next.is_waiting());
    let mut next = call_with(&limit, level(102));
    assert!(arrival.rejection().is_some() && next.is_waiting());
    assert_eq!((handle.evicted(), handle.queued()), (3, 4));
    drop(running);
    assert!(high.is_running());
}

#[tokio::test(start_paused = true)]
async fn a_request_of_equal_or_lower_priority_is_rejected_by_a_full_queue() {
    let limit = ranked(1, 2);
    let handle = limit.handle();
    let _running = call(&limit);
    let mut waiting = [call_with(&limit, level(300)), call_with(&limit, level(200))];
    for at in [0, 199, 200] {
        let rejection = call_with(&limit, level(at)).rejection();
        assert_eq!(rejection.unwrap().kind(), Kind::Full, "at level {at}");
    }
    assert!(waiting.iter_mut().all(crate::Call::is_waiting));
    assert_eq!((handle.evicted(), handle.rejected()), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn an_evicted_waiter_that_is_dropped_unpolled_releases_nothing() {
    let limit = ranked(1, 1);
    let handle = limit.handle();
    let running = call(&limit);
    let low = call_with(&limit, level(1));
    let mut high = call_with(&limit, level(2));
    drop(low);
    assert_eq!(
        (handle.abandoned(), handle.evicted(), handle.queued()),
        (1, 0, 1)
    );
    drop(running);
    assert!(high.is_running());
    assert_eq!(handle.in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_granted_waiter_is_not_evicted() {
    let limit = ranked(1, 1);
    let running = call(&limit);
    let mut low = call_with(&limit, level(1));
    drop(running); // the slot is granted to the low one, which has not been polled
    let mut high = call_with(&limit, level(500));
    assert!(high.is_waiting() && low.is_running());
    assert_eq!(limit.handle().evicted(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_past_its_deadline_evicts_no_waiter() {
    let limit = ranked(1, 1);
    let _running = call(&limit);
    let mut low = call_with(&limit, level(1));
    let late = crate::Req {
        deadline: Some(plimsoll_core::Deadline(tokio::time::Instant::now())),
        priority: level(500),
    };
    assert_eq!(
        call_with(&limit, late).rejection().unwrap().kind(),
        Kind::Deadline
    );
    assert!(low.is_waiting());
}

#[tokio::test(start_paused = true)]
async fn law_07_evicted_waiters_that_are_never_polled_use_bounded_memory() {
    let limit = ranked(1, 2);
    let handle = limit.handle();
    let _running = call(&limit);
    let mut kept: Vec<_> = (0..1500)
        .map(|n| {
            // Each level is above the one before; every 500 requests levels restart with an empty
            // queue.
            if n % 500 == 0 {
                handle.set_limit(handle.in_flight() + 2).unwrap();
                handle.set_limit(1).unwrap();
            }
            call_with(&limit, level(n % 500))
        })
        .collect();
    let rejected = handle.rejected();
    assert!(rejected > 0, "no request was rejected for memory");
    let evicted = kept
        .iter_mut()
        .filter(|call| matches!(call.stage, crate::Stage::Waiting(_)))
        .filter_map(crate::Call::rejection)
        .count();
    assert_eq!(evicted, 1024);
    kept.clear();
    assert_eq!(handle.queued(), 0);
    let _fill = [call_with(&limit, level(1)), call_with(&limit, level(1))];
    assert!(
        call_with(&limit, level(2)).is_waiting(),
        "the evicted waiters were polled, and there is room again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_queued_request_without_a_cohort_gets_one_and_part_of_equals_is_served() {
    let limit = ranked(1, 200);
    let _running = call(&limit);
    let plain = Priority::new(Criticality::Critical);
    let mut earlier: Vec<_> = (0..200).map(|_| call_with(&limit, plain)).collect();
    let mut later: Vec<_> = (0..200).map(|_| call_with(&limit, plain)).collect();
    let waiting = |calls: &mut [crate::Call<'_, _>]| {
        calls
            .iter_mut()
            .filter_map(|call| call.is_waiting().then_some(()))
            .count()
    };
    let (stayed, came) = (waiting(&mut earlier), waiting(&mut later));
    assert_eq!(stayed + came, 200);
    assert!(
        (50..150).contains(&came),
        "about the higher half of all is queued, not the oldest: {came}"
    );
    // Cohorts do not reach another criticality.
    for (criticality, waits) in [
        (Criticality::SheddablePlus, false),
        (Criticality::CriticalPlus, true),
    ] {
        assert_eq!(
            call_with(&limit, Priority::new(criticality)).is_waiting(),
            waits
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_priorities_all_requests_are_equal() {
    let limit = queued(1, 2);
    let _running = call(&limit);
    let mut waiting = [call_with(&limit, level(0)), call_with(&limit, level(0))];
    assert!(call_with(&limit, level(511)).rejection().is_some());
    assert!(waiting.iter_mut().all(crate::Call::is_waiting));
}

#[tokio::test(start_paused = true)]
async fn the_priority_is_not_read_while_a_slot_is_free() {
    let limit = queued(1, 1).priorities(|_: &crate::Req| -> Priority { panic!("read") });
    assert!(call(&limit).is_running());
    limit.handle().clear_queue();
    let _running = call(&limit);
    assert!(call(&limit).rejection().is_some(), "nor without a queue");
}

/// Through a gate, with priorities in the extensions of HTTP requests: ten times the load that
/// fits.
#[tokio::test(start_paused = true)]
async fn under_ten_times_the_load_important_requests_are_served() {
    fastrand::seed(1);
    let limit = ConcurrencyLimit::new(4)
        .unwrap()
        .queue(16, 100 * MS)
        .unwrap()
        .priorities(ByExtension);
    let handle = limit.handle();
    let layer: ConcurrencyLimitLayer<(), ByExtension> = GateLayer::new(limit);
    let service = layer.layer(service_fn(|_: Request<Empty<bytes::Bytes>>| async {
        tokio::time::sleep(10 * MS).await;
        Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
    }));
    let mut tasks = tokio::task::JoinSet::new();
    // 4 requests per millisecond where 0.4 fit; one in 20 is important.
    for n in 0..4000 {
        if n % 4 == 0 {
            tokio::time::sleep(MS).await;
        }
        let matters = n % 20 == 0;
        let mut req = Request::new(Empty::new());
        req.extensions_mut().insert(Priority::new(if matters {
            Criticality::CriticalPlus
        } else {
            Criticality::Sheddable
        }));
        let call = service.clone().oneshot(req);
        tasks.spawn(async move { (matters, call.await.unwrap().status()) });
    }
    let (mut important, mut others, mut served) = (0, 0, 0);
    while let Some(ended) = woken(tasks.join_next()).await {
        let (matters, status) = ended.unwrap();
        let ok = status == StatusCode::OK;
        assert!(ok || status == StatusCode::SERVICE_UNAVAILABLE, "{status}");
        served += u32::from(ok);
        important += u32::from(matters && ok);
        others += u32::from(!matters && ok);
    }
    assert_eq!(important, 200, "all of them");
    assert!(others > 100, "others get the remaining slots: {others}");
    assert!(served >= 360, "no slot was idle: {served}");
    assert!(handle.evicted() > 0);
    assert_eq!((handle.in_flight(), handle.queued()), (0, 0));
}
