//! Law 10: a failing observer fails no request and hides no event.

use std::{sync::Arc, time::Duration};

use plimsoll_core::{GateLayer, Observe, OnWaitEnd, Outcome, Rejected, test_kit::Script};

use crate::sample::{Door, Slots, send};

/// Panics on every event.
struct Broken;

impl Observe for Broken {
    fn admitted(&self, _: &str, _: Duration) {
        panic!("telemetry is down");
    }
    fn queued(&self, _: &str) -> Option<OnWaitEnd> {
        Some(Box::new(|_, _| panic!("telemetry is down")))
    }
    fn rejected(&self, _: &str, _: &Rejected<'_>) {
        panic!("telemetry is down");
    }
    fn abandoned(&self, _: &str, _: Duration) {
        panic!("telemetry is down");
    }
    fn finished(&self, _: &str, _: &Outcome) {
        panic!("telemetry is down");
    }
}

/// Records every event.
#[derive(Default)]
struct Events(Arc<std::sync::Mutex<Vec<String>>>);

impl Events {
    fn add(&self, event: String) {
        self.0.lock().unwrap().push(event);
    }
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observe for Events {
    fn admitted(&self, gate: &str, waited: Duration) {
        self.add(format!("{gate}: admitted after {waited:?}"));
    }
    fn queued(&self, gate: &str) -> Option<OnWaitEnd> {
        self.add(format!("{gate}: queued"));
        let (events, gate) = (Self(Arc::clone(&self.0)), gate.to_owned());
        Some(Box::new(move |end, waited| {
            events.add(format!("{gate}: {end:?} after a wait of {waited:?}"));
        }))
    }
    fn rejected(&self, gate: &str, rejected: &Rejected<'_>) {
        let uri = rejected.request.map(|head| head.uri.to_string());
        self.add(format!("{gate}: {uri:?} {}", rejected.rejection));
    }
    fn abandoned(&self, gate: &str, waited: Duration) {
        self.add(format!("{gate}: abandoned after {waited:?}"));
    }
    fn finished(&self, gate: &str, outcome: &Outcome) {
        self.add(format!("{gate}: {:?}", outcome.class));
    }
}

#[tokio::test(start_paused = true)]
async fn law_10_a_failing_observer_fails_no_request() {
    let layer = GateLayer::builder(Slots::new(1)).observe(Broken).build();
    let held = send(&layer, Script::EndlessBody).await.unwrap();
    assert_eq!(held.status(), 200);
    assert_eq!(send(&layer, Script::Body).await.unwrap().status(), 503);
    drop(held);
    assert_eq!(layer.policy().in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn law_10_an_observer_gets_each_event_once() {
    let events = Arc::new(Events::default());
    let layer = GateLayer::builder(Door::default())
        .name("edge")
        .observe(Arc::clone(&events))
        .build();
    let mut leaves = Box::pin(send(&layer, Script::Body));
    assert!(futures_util::poll!(&mut leaves).is_pending());
    tokio::time::advance(Duration::from_secs(1)).await;
    drop(leaves);
    layer.policy().open();
    drop(send(&layer, Script::EndlessBody).await.unwrap());
    layer.policy().shut_for_good();
    _ = send(&layer, Script::Body).await.unwrap();
    assert_eq!(
        events.take(),
        [
            "edge: queued",
            "edge: Abandoned after a wait of 1s",
            "edge: abandoned after 1s",
            "edge: queued",
            "edge: Admitted after a wait of 0ns",
            "edge: admitted after 0ns",
            "edge: Success",
            "edge: queued",
            "edge: Rejected after a wait of 0ns",
            "edge: Some(\"/\") rejected by door: full"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn law_10_each_wait_has_one_end_for_each_observer() {
    let (first, last) = (Arc::new(Events::default()), Arc::new(Events::default()));
    for (end, status) in [(Door::open as fn(&Door), 200), (Door::shut_for_good, 503)] {
        let layer = GateLayer::builder(Door::default())
            .observe(Arc::clone(&first))
            .observe(Broken)
            .observe(Arc::clone(&last))
            .build();
        let mut call = Box::pin(send(&layer, Script::Body));
        assert!(futures_util::poll!(&mut call).is_pending());
        tokio::time::advance(Duration::from_secs(2)).await;
        end(layer.policy());
        assert_eq!(call.await.unwrap().status(), status);
    }
    let seen = first.take();
    assert_eq!(seen, last.take());
    assert_eq!(
        seen,
        [
            "gate: queued",
            "gate: Admitted after a wait of 2s",
            "gate: admitted after 2s",
            "gate: Success",
            "gate: queued",
            "gate: Rejected after a wait of 2s",
            "gate: Some(\"/\") rejected by door: full",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn law_10_an_observer_that_panics_hides_no_event_from_other_observers() {
    let (first, last) = (Arc::new(Events::default()), Arc::new(Events::default()));
    let layer = GateLayer::builder(Slots::new(1))
        .observe(Arc::clone(&first))
        .observe(Broken)
        .observe(Arc::clone(&last))
        .build();
    let held = send(&layer, Script::EndlessBody).await.unwrap();
    _ = send(&layer, Script::Body).await.unwrap();
    drop(held);
    let seen = first.take();
    assert_eq!(seen, last.take());
    assert_eq!(
        seen,
        [
            "gate: admitted after 0ns",
            "gate: Some(\"/\") rejected by slots: full",
            "gate: Success"
        ]
    );
}
