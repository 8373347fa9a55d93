//! What an algorithm observes of the calls behind a real gate, and the effect of its answers.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use plimsoll_concurrency::{
    Algorithm, Change, ConcurrencyLimit, InvalidConcurrencyLimit, LimitReason, Window, WindowSize,
};
use plimsoll_core::{
    Criticality, Deadline, GateLayer, Kind, Priority,
    figures::{Figure, Figures as _, QUEUE_CAPACITY},
    test_kit::Audited,
};
use tokio::time::{Instant, advance, sleep};
use tower::{Layer, ServiceExt, service_fn};

use crate::{Limit, MS, Req, call, call_with, with_deadlines};

/// Returns the given answers, and records the windows that it receives.
#[derive(Debug, Clone)]
pub(crate) struct Fixed {
    initial: u32,
    pub(crate) size: WindowSize,
    answers: fn(usize) -> Change,
    windows: Arc<Mutex<Vec<Window>>>,
}

pub(crate) const STEADY: Change = Change {
    at_no_load: false,
    no_load_latency: None,
    limit: 10,
    reason: LimitReason::Steady,
    queue: None,
};

/// Windows of a call and 10 milliseconds.
pub(crate) fn fixed(initial: u32, answers: fn(usize) -> Change) -> Fixed {
    Fixed {
        initial,
        size: WindowSize {
            time: 10 * MS,
            samples: 1,
        },
        answers,
        windows: Arc::default(),
    }
}

impl Fixed {
    pub(crate) fn last(&self) -> Window {
        *self.windows.lock().unwrap().last().expect("a window ended")
    }

    pub(crate) fn told(&self) -> usize {
        self.windows.lock().unwrap().len()
    }
}

impl Algorithm for Fixed {
    fn initial(&self) -> u32 {
        self.initial
    }

    fn window(&self) -> WindowSize {
        self.size
    }

    fn update(&mut self, window: &Window) -> Change {
        let number = {
            let mut windows = self.windows.lock().unwrap();
            windows.push(*window);
            windows.len()
        };
        (self.answers)(number)
    }
}

pub(crate) fn limit(algorithm: &Fixed) -> Limit {
    with_deadlines(ConcurrencyLimit::with_algorithm(algorithm.clone()).unwrap())
}

/// A call that is answered after this many milliseconds.
pub(crate) async fn one(limit: &Limit, millis: u32) {
    let mut call = call(limit);
    assert!(call.is_running());
    advance(millis * MS).await;
    call.finish();
}

type Body = Full<bytes::Bytes>;

/// Answers with the status that it is asked for, after 20 milliseconds.
async fn answer(status: StatusCode) -> Result<Response<Body>, Infallible> {
    sleep(20 * MS).await;
    let mut response = Response::new(Body::from("hello"));
    *response.status_mut() = status;
    Ok(response)
}

#[tokio::test(start_paused = true)]
async fn a_body_holds_its_slot_to_its_end_and_its_call_took_as_long_as_to_the_head() {
    let algorithm = fixed(10, |_| STEADY);
    let limit = ConcurrencyLimit::with_algorithm(algorithm.clone()).unwrap();
    let handle = limit.handle();
    let gate = GateLayer::new(limit).layer(service_fn(|_| answer(StatusCode::OK)));
    for _ in 0..4 {
        let call = gate.clone().oneshot(Request::new(Body::default()));
        let body = call.await.unwrap().into_body();
        advance(Duration::from_secs(10)).await;
        assert_eq!(handle.in_flight(), 1);
        body.collect().await.unwrap();
        assert_eq!(handle.in_flight(), 0);
    }
    assert!(algorithm.told() >= 2);
    let window = algorithm.last();
    let latency = window.latency;
    assert!(latency >= 20 * MS && latency <= 21 * MS, "{latency:?}");
}

#[tokio::test(start_paused = true)]
async fn all_answers_have_a_latency_and_overload_and_callers_that_leave_late_are_drops() {
    let mut algorithm = fixed(10, |_| STEADY);
    algorithm.size.samples = 6;
    let limit = ConcurrencyLimit::with_algorithm(algorithm.clone()).unwrap();
    let inner = service_fn(|req: Request<Body>| {
        let status = req.extensions().get::<StatusCode>().copied();
        async move {
            if status != Some(StatusCode::OK) {
                sleep(500 * MS).await;
            }
            answer(status.unwrap()).await
        }
    });
    let gate = GateLayer::new(limit).layer(inner);
    let ask = |status: u16| {
        let mut req = Request::new(Body::default());
        req.extensions_mut()
            .insert(StatusCode::from_u16(status).unwrap());
        let call = gate.clone().oneshot(req);
        async move { call.await.unwrap().into_body().collect().await }
    };
    ask(200).await.unwrap(); // from now on
    for status in [500, 503, 404, 429] {
        ask(status).await.unwrap();
    }
    let gave_up = tokio::time::timeout(100 * MS, ask(500)).await;
    assert!(gave_up.is_err());
    assert_eq!(algorithm.told(), 0);
    let mut answered = 0;
    while algorithm.told() == 0 {
        ask(200).await.unwrap();
        answered += 1;
        assert!(answered <= 100);
    }
    let window = algorithm.last();
    // Dropped are the 503 and the caller that left. The 500, the 404 and the 429 to one caller held a
    // slot for as long as their work took.
    assert_eq!(
        (window.answered, window.dropped, window.cancelled),
        (answered + 3, 2, 1)
    );
    assert!(window.latency > 100 * MS, "{:?}", window.latency);
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_slot_is_turned_away_and_refused_if_not_served_after_a_wait() {
    let algorithm = fixed(1, |_| Change { limit: 1, ..STEADY });
    let limit = limit(&algorithm).queue(1, 50 * MS).unwrap();
    one(&limit, 10).await;
    let running = call(&limit);
    let mut waiting = call(&limit);
    assert!(call(&limit).rejection().is_some());
    advance(20 * MS).await;
    running.finish();
    let window = algorithm.last();
    assert_eq!(
        (window.without_slot, window.rejected, window.limit),
        (2, 1, 1)
    );
    assert!(waiting.is_running());
    let mut late = call(&limit);
    assert!(late.is_waiting());
    advance(60 * MS).await;
    assert!(late.rejection().is_some());
    waiting.finish();
    let window = algorithm.last();
    assert_eq!((window.without_slot, window.rejected), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_moves_cannot_be_set() {
    let algorithm = fixed(10, |_| Change {
        limit: 12,
        reason: LimitReason::Growth,
        ..STEADY
    });
    let limit = limit(&algorithm);
    let handle = limit.handle();
    assert_eq!((handle.limit(), handle.reason()), (10, LimitReason::Set));
    for _ in 0..2 {
        one(&limit, 10).await;
    }
    assert_eq!((handle.limit(), handle.reason()), (12, LimitReason::Growth));
    assert_eq!(handle.set_limit(3), Err(InvalidConcurrencyLimit::Adaptive));
    assert_eq!((handle.limit(), handle.reason()), (12, LimitReason::Growth));
}

#[tokio::test(start_paused = true)]
async fn a_higher_limit_lets_in_who_waits_and_a_lower_one_nobody_until_there_is_room() {
    let algorithm = fixed(1, |number| Change {
        limit: if number == 1 { 3 } else { 1 },
        ..STEADY
    });
    let limit = limit(&algorithm).queue(8, Duration::from_secs(1)).unwrap();
    let handle = limit.handle();
    one(&limit, 10).await;
    let running = call(&limit);
    let mut waiting = [(); 5].map(|()| call(&limit));
    advance(10 * MS).await;
    running.finish();
    assert_eq!(
        (handle.limit(), handle.in_flight(), handle.queued()),
        (3, 3, 2)
    );
    let [one, two, three, ..] = &mut waiting;
    assert!([one, two, three].into_iter().all(crate::Call::is_running));
    advance(10 * MS).await;
    let [one, two, three, mut four, mut five] = waiting;
    one.finish();
    assert_eq!(handle.limit(), 1);
    // Its own slot went to the next before the window ended.
    assert!(four.is_running() && five.is_waiting());
    two.finish();
    three.finish();
    assert!(five.is_waiting(), "one is in flight, as the limit says");
    four.finish();
    assert!(five.is_running());
}

#[tokio::test(start_paused = true)]
async fn a_request_due_before_most_answers_come_is_refused_before_it_waits() {
    let algorithm = fixed(1, |_| Change {
        limit: 1,
        queue: Some((4, Duration::from_secs(1))),
        ..STEADY
    });
    let algorithm = Fixed {
        size: WindowSize {
            time: 10 * MS,
            samples: 20,
        },
        ..algorithm
    };
    let limit = limit(&algorithm);
    let handle = limit.handle();
    assert_eq!(handle.service_time(), None);
    for number in 0..200 {
        one(&limit, if number % 20 == 0 { 100 } else { 20 }).await;
    }
    let p99 = handle.service_time().expect("it was measured");
    assert!(p99 >= 100 * MS && p99 <= 125 * MS, "{p99:?}");
    let running = call(&limit);
    let due_in = |millis: u32| call_with(&limit, Some(Deadline(Instant::now() + millis * MS)));
    let kind = |millis| due_in(millis).rejection().map(|rejection| rejection.kind());
    assert_eq!(kind(90), Some(Kind::Deadline));
    assert_eq!(kind(130), None);
    assert_eq!((handle.past_deadline(), handle.queued()), (1, 0));

    // Its turn comes when it has less left, but enough for nine of ten.
    let mut waiting = due_in(130);
    assert!(waiting.is_waiting());
    advance(90 * MS).await;
    running.finish();
    assert!(waiting.is_running());
    // And one that has not even that passes the slot on.
    let mut late = due_in(130);
    assert!(late.is_waiting());
    advance(115 * MS).await;
    waiting.finish();
    assert_eq!(late.rejection().unwrap().kind(), Kind::Deadline);
    assert_eq!(handle.in_flight(), 0);

    handle.set_service_time(Some(MS)).unwrap();
    let _running = call(&limit);
    assert_eq!(handle.service_time(), Some(MS), "what is stated counts");
    assert!(due_in(2).is_waiting());
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_as_long_and_as_patient_as_the_algorithm_says() {
    let algorithm = fixed(1, |number| Change {
        limit: 1,
        queue: [Some((2, 30 * MS)), None, Some((1, 60 * MS))][number - 1],
        ..STEADY
    });
    let limit = limit(&algorithm);
    let handle = limit.handle();
    one(&limit, 10).await;
    assert_eq!(handle.queue(), None);
    one(&limit, 10).await;
    assert_eq!(handle.queue(), Some((2, 30 * MS)));
    one(&limit, 10).await;
    assert_eq!(
        handle.queue(),
        Some((2, 30 * MS)),
        "no view of it: it stays"
    );
    let running = call(&limit);
    let (waiting, _other) = (call(&limit), call(&limit));
    assert!(call(&limit).rejection().is_some(), "two may wait");
    let began = Instant::now();
    assert!(waiting.await.is_some());
    let waited = began.elapsed();
    assert!(waited >= 30 * MS && waited <= 31 * MS, "{waited:?}");
    running.finish();
    assert_eq!(handle.queue(), Some((1, 60 * MS)));
}

#[tokio::test(start_paused = true)]
async fn what_an_algorithm_cannot_mean_is_ignored() {
    let hour = Duration::from_secs(3600);
    assert!(ConcurrencyLimit::with_algorithm(fixed(0, |_| STEADY)).is_err());
    assert!(ConcurrencyLimit::with_algorithm(fixed((1 << 30) + 1, |_| STEADY)).is_err());
    let algorithm = fixed(10, |number| {
        let nonsense = [
            (0, None),
            ((1 << 30) + 1, None),
            (u32::MAX, Some((0, MS))),
            (10, Some(((1 << 20) + 1, MS))),
            (10, Some((1, Duration::ZERO))),
            (10, Some((1, Duration::MAX))),
        ];
        let (limit, queue) = nonsense[(number - 1) % nonsense.len()];
        Change {
            limit,
            queue,
            ..STEADY
        }
    });
    let limit = limit(&algorithm).queue(5, hour).unwrap();
    let handle = limit.handle();
    for _ in 0..13 {
        one(&limit, 10).await;
        assert_eq!((handle.limit(), handle.queue()), (10, Some((5, hour))));
    }
    assert_eq!(algorithm.told(), 12);
}

#[tokio::test(start_paused = true)]
async fn an_algorithm_that_panics_fails_no_call_and_is_asked_again() {
    let algorithm = fixed(10, |number| match number {
        1 | 3 => panic!("as it is told"),
        _ => Change {
            limit: 10 + number as u32,
            ..STEADY
        },
    });
    let first = Audited::new(ConcurrencyLimit::new(100).unwrap());
    let audit = first.audit();
    let second = ConcurrencyLimit::with_algorithm(algorithm.clone()).unwrap();
    let handle = second.handle();
    let layer = GateLayer::new((first, second));
    let gate = layer.layer(service_fn(|_| answer(StatusCode::OK)));
    let mut limits = Vec::new();
    for _ in 0..6 {
        let response = gate.clone().oneshot(Request::new(Body::default())).await;
        response.unwrap().into_body().collect().await.unwrap();
        limits.push((handle.limit(), handle.in_flight()));
    }
    assert_eq!(limits, [10, 10, 12, 12, 14, 15].map(|limit| (limit, 0)));
    assert_eq!((audit.granted(), audit.outstanding()), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn cells_share_the_limit_that_moves_and_what_is_told_of_their_calls() {
    let algorithm = fixed(1, |_| Change { limit: 2, ..STEADY });
    let each = limit(&algorithm);
    let (first, second) = (each.cell(), each.cell());
    one(&first, 10).await;
    one(&second, 5).await;
    one(&second, 5).await;
    assert_eq!(algorithm.last().answered, 2);
    let _running = [call(&first), call(&first), call(&second), call(&second)];
    assert!(call(&first).rejection().is_some() && call(&second).rejection().is_some());
    assert_eq!((each.handle().limit(), first.handle().in_flight()), (2, 2));
    assert!(second.handle().reason() == LimitReason::Steady);
}

#[test]
fn only_a_limit_that_moves_asks_for_latencies() {
    let reads = |limit: &Limit| {
        plimsoll_core::Policy::<Req>::interests(limit, plimsoll_core::policy::Interests::LATENCY)
            .latency()
    };
    assert!(reads(&limit(&fixed(1, |_| STEADY))));
    assert!(!reads(&with_deadlines(ConcurrencyLimit::new(1).unwrap())));
}

/// Windows that hold more calls after idle time than others, and twice the places for important
/// requests.
#[derive(Debug)]
struct Longer(Fixed);

impl Algorithm for Longer {
    fn initial(&self) -> u32 {
        self.0.initial()
    }

    fn window(&self) -> WindowSize {
        self.0.window()
    }

    fn window_after_idle_time(&self) -> WindowSize {
        WindowSize {
            samples: 20,
            ..self.0.window()
        }
    }

    fn longer_queue(&self) -> f64 {
        2.0
    }

    fn update(&mut self, window: &Window) -> Change {
        self.0.update(window)
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_begins_with_load_after_idle_time_has_a_size_of_its_own() {
    let algorithm = fixed(1, |_| Change { limit: 1, ..STEADY });
    let limit = ConcurrencyLimit::with_algorithm(Longer(algorithm.clone())).unwrap();
    let limit = with_deadlines(limit);
    for _ in 0..4 {
        one(&limit, 10).await;
    }
    let before = algorithm.told();
    assert!(before > 0);
    advance(Duration::from_secs(60)).await;
    let running = call(&limit);
    assert!(call(&limit).rejection().is_some());
    drop(running);
    let mut calls = 0;
    while algorithm.told() == before {
        one(&limit, 10).await;
        calls += 1;
    }
    assert!(calls >= 20, "{calls}");
    assert_eq!(algorithm.last().answered, calls);
    one(&limit, 10).await;
    one(&limit, 10).await;
    assert!(
        algorithm.told() > before + 1,
        "the next is as long as others"
    );
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_longer_only_for_requests_more_important_than_all_that_are_rejected() {
    let important = Priority::new(Criticality::CriticalPlus);
    for (rejected, places) in [(false, 4), (true, 8)] {
        let limit = ConcurrencyLimit::with_algorithm(Longer(fixed(1, |_| STEADY))).unwrap();
        let limit = with_deadlines(limit.queue(4, Duration::from_secs(1)).unwrap());
        let limit = limit.priorities((|req| req.priority) as fn(&Req) -> Priority);
        let handle = limit.handle();
        let capacity = || {
            let mut capacity = f64::NAN;
            let mut read = |figure: &Figure, value| {
                if figure.is(&QUEUE_CAPACITY) {
                    capacity = value;
                }
            };
            handle.read(&mut |figure, value| read(figure, value));
            capacity
        };
        let _running = call(&limit);
        let others: Vec<_> = (0..if rejected { 5 } else { 0 })
            .map(|_| call(&limit))
            .collect();
        assert_eq!(handle.queued(), if rejected { 4 } else { 0 });
        assert_eq!(capacity(), f64::from(places));
        let burst: Vec<_> = (0..30).map(|_| call_with(&limit, important)).collect();
        assert_eq!(handle.queued(), places as usize);
        // Now important requests are rejected, too.
        assert_eq!(capacity(), 4.0);
        drop((burst, others));
        let burst: Vec<_> = (0..30).map(|_| call_with(&limit, important)).collect();
        assert_eq!(handle.queued(), 4);
        drop(burst);
    }
}
