//! Slots of unread responses. On the paused clock: no test sleeps.

mod model;
mod shares;
#[cfg(not(loom))]
mod sockets;

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use plimsoll_concurrency::{
    Algorithm, Change, ConcurrencyLimit, InvalidConcurrencyLimit, LimitReason, Window, WindowSize,
};
use plimsoll_core::{
    GateLayer, Http, Missing, Policy,
    protocol::{GateBody, Held},
};
use tokio::time::{Instant, advance};
use tower::{Layer as _, ServiceExt as _};

use crate::{MS, woken};

/// The default of the longest stall.
const X: Duration = Duration::from_secs(10);
/// One millisecond less.
const ALMOST_X: Duration = Duration::from_millis(9_999);

/// The request carries the body of its response, and its key.
type Req = Request<Download>;

/// A body that follows a script, and then has a frame for every poll.
#[derive(Debug, Clone, Default)]
struct Download {
    key: u32,
    script: VecDeque<Next>,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Frame,
    Pending,
    End,
}

impl Download {
    fn of(script: impl IntoIterator<Item = Next>) -> Self {
        let script = script.into_iter().collect();
        Self { key: 0, script }
    }

    fn by(key: u32) -> Self {
        let script = VecDeque::new();
        Self { key, script }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.script.pop_front().unwrap_or(Next::Frame) {
            Next::Frame => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"data"))))),
            Next::Pending => Poll::Pending,
            Next::End => Poll::Ready(None),
        }
    }
}

type Reader<P> = GateBody<Download, Held<P, Http, Req>>;

/// Sends a request. The returned reader of its response holds the slot, and has not read anything.
async fn ask<P: Policy<Req> + 'static>(
    layer: &GateLayer<P>,
    download: Download,
) -> Result<Reader<P>, StatusCode> {
    let service =
        tower::service_fn(|req: Req| async { Ok::<_, Infallible>(Response::new(req.into_body())) });
    let response = layer.layer(service).oneshot(Request::new(download)).await;
    let (head, body) = response.unwrap().into_parts();
    if head.status == 200 {
        Ok(body)
    } else {
        Err(head.status)
    }
}

async fn is_full<P: Policy<Req> + 'static>(layer: &GateLayer<P>) -> bool {
    ask(layer, Download::default()).await.is_err()
}

/// Polls the body for a frame, as a server with room in its buffer does. Returns `false` while no
/// frame is ready.
fn read<P: Policy<Req> + 'static>(reader: &mut Reader<P>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    Pin::new(reader).poll_frame(&mut cx).is_ready()
}

#[tokio::test(start_paused = true)]
async fn two_stopped_readers_block_a_limit_of_two_for_one_stall() {
    let limit = ConcurrencyLimit::new(2).unwrap();
    let handle = limit.handle();
    let layer = GateLayer::new(limit);
    let stopped = [
        ask(&layer, Download::default()).await.unwrap(),
        ask(&layer, Download::default()).await.unwrap(),
    ];
    assert!(is_full(&layer).await, "the stall is measured from here");
    advance(ALMOST_X).await;
    assert!(is_full(&layer).await);
    assert_eq!((handle.in_flight(), handle.stalled()), (2, 0));
    advance(MS).await;
    let third = ask(&layer, Download::default()).await.unwrap();
    assert_eq!((handle.in_flight(), handle.stalled()), (1, 2));
    let fourth = ask(&layer, Download::default()).await.unwrap();
    assert!(is_full(&layer).await);
    drop(stopped);
    assert_eq!(handle.in_flight(), 2, "those slots were reclaimed");
    drop((third, fourth));
    assert_eq!(handle.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_reclaimed_within_a_stall_and_a_quarter() {
    for offset in (0..2500).step_by(100) {
        let layer = GateLayer::new(ConcurrencyLimit::new(1).unwrap());
        let first = ask(&layer, Download::default()).await.unwrap();
        assert!(is_full(&layer).await, "an epoch is closed");
        drop(first);
        advance(offset * MS).await;
        // The caller stops reading at any time of an epoch.
        let _stopped = ask(&layer, Download::default()).await.unwrap();
        let since = Instant::now();
        // A request about every 10 milliseconds.
        let latest = X + X / 4 + 20 * MS;
        while is_full(&layer).await {
            assert!(since.elapsed() < latest, "{offset}");
            advance(10 * MS).await;
        }
        assert!(since.elapsed() >= X, "{offset}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_takes_a_frame_in_time_keeps_its_slot() {
    let limit = ConcurrencyLimit::new(1).unwrap();
    let handle = limit.handle();
    let layer = GateLayer::new(limit);
    let mut slow = ask(&layer, Download::default()).await.unwrap();
    for tick in 0..200 {
        advance(X / 10).await;
        if tick % 9 == 0 {
            assert!(read(&mut slow));
        }
        assert!(is_full(&layer).await, "{tick}");
    }
    assert_eq!((handle.in_flight(), handle.stalled()), (1, 0));
    drop(slow);
    assert!(!is_full(&layer).await);
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_keeps_its_slot_until_an_event_stays_unread() {
    let limit = ConcurrencyLimit::new(1).unwrap();
    let handle = limit.handle();
    let layer = GateLayer::new(limit);
    let events = Download::of([Next::Frame, Next::Pending, Next::Pending, Next::Frame]);
    let mut stream = ask(&layer, events).await.unwrap();
    assert!(read(&mut stream), "the first event");
    assert!(!read(&mut stream), "the next is yet to come");
    for _ in 0..50 {
        advance(X / 5).await;
        assert!(is_full(&layer).await);
    }
    assert!(!read(&mut stream), "a spurious wake-up");
    advance(2 * X).await;
    assert!(is_full(&layer).await);
    assert!(read(&mut stream), "an event");
    advance(X / 4).await;
    assert!(is_full(&layer).await, "the stall is measured from here");
    advance(ALMOST_X).await;
    assert!(is_full(&layer).await);
    advance(MS).await;
    assert!(!is_full(&layer).await, "the event was not read");
    assert_eq!((handle.in_flight(), handle.stalled()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn no_slot_is_reclaimed_while_no_request_finds_the_limit_full() {
    let limit = ConcurrencyLimit::new(2).unwrap();
    let handle = limit.handle();
    let layer = GateLayer::new(limit);
    let stopped = ask(&layer, Download::default()).await.unwrap();
    for _ in 0..100 {
        advance(X).await;
        assert!(!is_full(&layer).await, "another slot is free");
    }
    assert_eq!((handle.in_flight(), handle.stalled()), (1, 0));
    drop(stopped);
    assert_eq!(handle.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_response_continues_without_its_slot() {
    let limit = ConcurrencyLimit::new(1).unwrap();
    let handle = limit.handle();
    let layer = GateLayer::new(limit);
    let script = [
        Next::Frame,
        Next::Pending,
        Next::Frame,
        Next::Frame,
        Next::End,
    ];
    let mut late = ask(&layer, Download::of(script)).await.unwrap();
    assert!(is_full(&layer).await);
    advance(X).await;
    let other = ask(&layer, Download::default()).await.unwrap();
    // The caller reads again: all frames arrive, and it is not counted.
    let frames = std::iter::from_fn(|| Some(read(&mut late))).take(5);
    assert_eq!(frames.filter(|ready| *ready).count(), 4);
    assert_eq!(handle.in_flight(), 1);
    drop(late);
    assert_eq!(handle.in_flight(), 1);
    assert!(is_full(&layer).await);
    drop(other);
    assert_eq!((handle.in_flight(), handle.stalled()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_queued_request_gets_a_reclaimed_slot_without_further_requests() {
    let limit = ConcurrencyLimit::new(1).unwrap();
    let limit = limit.queue(4, 6 * X).unwrap();
    let handle = limit.handle();
    let layer = GateLayer::new(limit);
    let _stopped = ask(&layer, Download::default()).await.unwrap();
    let since = Instant::now();
    let queued = woken_late(ask(&layer, Download::default())).await.unwrap();
    assert!(since.elapsed() >= X && since.elapsed() <= X + X / 4);
    assert_eq!((handle.in_flight(), handle.queued()), (1, 0));
    // So does the next request, which is queued while the first is served.
    woken_late(ask(&layer, Download::default())).await.unwrap();
    assert_eq!(handle.stalled(), 2);
    drop(queued);
}

/// As [`woken`], for waits of several stalls.
async fn woken_late<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(5 * X, future)
        .await
        .expect("no slot was reclaimed")
}

#[tokio::test(start_paused = true)]
async fn queued_requests_get_a_reclaimed_slot_before_the_request_that_reclaims_it() {
    let limit = ConcurrencyLimit::new(1).unwrap();
    let limit = limit.queue(4, 6 * X).unwrap();
    let layer = GateLayer::new(limit);
    let _stopped = ask(&layer, Download::default()).await.unwrap();
    let mut first = Box::pin(ask(&layer, Download::default()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut cx).is_pending());
    advance(X).await;
    let mut second = Box::pin(ask(&layer, Download::default()));
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert!(woken(first).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_response_keeps_its_slot() {
    let limit = ConcurrencyLimit::new(1).unwrap();
    let handle = limit.handle();
    let layer = GateLayer::new(limit);
    let service = tower::service_fn(|_: Req| {
        std::future::pending::<Result<Response<Download>, Infallible>>()
    });
    let mut call = Box::pin(layer.layer(service).oneshot(Request::default()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    for _ in 0..10 {
        assert!(is_full(&layer).await);
        advance(X).await;
    }
    assert_eq!((handle.in_flight(), handle.stalled()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn all_routes_of_a_limit_share_reclaimed_slots() {
    let limit = ConcurrencyLimit::new(1).unwrap();
    let handle = limit.handle();
    let (route, other) = (GateLayer::new(limit.route()), GateLayer::new(limit.route()));
    let _stopped = ask(&route, Download::default()).await.unwrap();
    assert!(is_full(&other).await);
    advance(X).await;
    assert!(!is_full(&other).await);
    assert_eq!(handle.stalled(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_the_slots_of_a_full_cell_are_reclaimed() {
    let each = ConcurrencyLimit::new(2).unwrap().reject_as_over_quota();
    let handle = each.handle();
    let key = |req: &Req| Some(req.body().key);
    let keyed = each.per_key(key, Missing::Share, 512).unwrap();
    let layer = GateLayer::new(keyed);
    let stopped = [1, 1, 2].map(Download::by);
    let [a, b, c] = stopped.map(|of| ask(&layer, of));
    let _stopped = (a.await.unwrap(), b.await.unwrap(), c.await.unwrap());
    assert_eq!(ask(&layer, Download::by(1)).await.err().unwrap(), 429);
    handle.set_max_stall(Some(X / 2)).unwrap();
    advance(X / 2).await;
    assert!(ask(&layer, Download::by(1)).await.is_ok());
    assert_eq!(handle.stalled(), 2, "the other's limit was not full");
}

/// Counts the calls in its windows.
#[derive(Debug)]
struct Recorder(Arc<Mutex<u64>>);

impl Algorithm for Recorder {
    fn initial(&self) -> u32 {
        1
    }
    fn window(&self) -> WindowSize {
        WindowSize {
            time: Duration::ZERO,
            samples: 1,
        }
    }
    fn update(&mut self, window: &Window) -> Change {
        *self.0.lock().unwrap() += window.answered + window.dropped;
        Change {
            limit: 1,
            reason: LimitReason::Steady,
            queue: None,
            at_no_load: false,
            no_load_latency: None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_slot_was_reclaimed_is_not_sampled() {
    let counted = Arc::default();
    let limit = ConcurrencyLimit::with_algorithm(Recorder(Arc::clone(&counted))).unwrap();
    let layer = GateLayer::new(limit);
    let script = || Download::of([Next::Frame, Next::End]);
    let mut stopped = ask(&layer, script()).await.unwrap();
    assert!(is_full(&layer).await);
    advance(X).await;
    let mut reads = ask(&layer, script()).await.unwrap();
    assert!(read(&mut stopped) && read(&mut stopped));
    // Closes the window in which the other call ended.
    for _ in 0..2 {
        assert!(read(&mut reads) && read(&mut reads));
        advance(MS).await;
        reads = ask(&layer, script()).await.unwrap();
    }
    assert!(read(&mut reads) && read(&mut reads));
    let counted = *counted.lock().unwrap();
    assert!(
        (1..=3).contains(&counted),
        "three calls were read in time, and not {counted}"
    );
}

#[tokio::test(start_paused = true)]
async fn reclaiming_can_be_disabled_and_enabled() {
    let limit = ConcurrencyLimit::new(1).unwrap().max_stall(None).unwrap();
    let handle = limit.handle();
    assert_eq!(handle.max_stall(), None);
    let layer = GateLayer::new(limit);
    let mut slow = ask(&layer, Download::default()).await.unwrap();
    for _ in 0..10 {
        advance(X).await;
        assert!(is_full(&layer).await);
    }
    handle.set_max_stall(Some(X)).unwrap();
    assert!(is_full(&layer).await);
    handle.set_max_stall(None).unwrap();
    assert!(read(&mut slow), "progress is noticed while it is off");
    advance(2 * X).await;
    handle.set_max_stall(Some(X)).unwrap();
    assert!(is_full(&layer).await);
    advance(X).await;
    assert!(!is_full(&layer).await);
    assert_eq!(handle.stalled(), 1);
}

#[test]
fn the_default_is_ten_seconds() {
    for limit in [
        ConcurrencyLimit::new(1).unwrap(),
        ConcurrencyLimit::adaptive(),
    ] {
        assert_eq!(limit.handle().max_stall(), Some(X));
    }
}

#[test]
fn law_09_a_longest_stall_out_of_bounds_is_an_error() {
    let hour = Duration::from_secs(3600);
    for good in [100 * MS, hour] {
        let limit = ConcurrencyLimit::new(1).unwrap().max_stall(good).unwrap();
        assert_eq!(limit.handle().max_stall(), Some(good));
    }
    for bad in [Duration::ZERO, Duration::from_micros(99_999), hour + MS] {
        let error = ConcurrencyLimit::new(1)
            .unwrap()
            .max_stall(bad)
            .unwrap_err();
        assert_eq!(error, InvalidConcurrencyLimit::MaxStall(bad));
        let handle = ConcurrencyLimit::new(1).unwrap().handle();
        assert_eq!(handle.set_max_stall(Some(bad)), Err(error));
        assert_eq!(handle.max_stall(), Some(X), "nothing is changed");
    }
    assert_eq!(
        InvalidConcurrencyLimit::MaxStall(MS).to_string(),
        "max_stall must be 100 milliseconds to 1 hour, got 1ms"
    );
}
