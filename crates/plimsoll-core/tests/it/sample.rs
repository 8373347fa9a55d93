//! Small policies for tests of the gate.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use plimsoll_core::{
    Gate, GateLayer, Http, Kind, Outcome, Policy, Rejection,
    policy::{Evictable, Verdict},
    test_kit::{KitRequest, Script, Scripted, ScriptedError, request},
};
use tokio::time::Instant;
use tower::{Layer as _, Service as _, ServiceExt as _};

/// A concurrency limit without a queue.
#[derive(Debug)]
pub(crate) struct Slots {
    pub(crate) limit: u64,
    pub(crate) used: AtomicU64,
    pub(crate) outcomes: Mutex<Vec<Outcome>>,
}

impl Slots {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
            outcomes: Mutex::default(),
        }
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.used.load(SeqCst)
    }

    pub(crate) fn last(&self) -> Outcome {
        self.outcomes
            .lock()
            .unwrap()
            .last()
            .expect("an outcome")
            .clone()
    }
}

impl<Req> Policy<Req> for Slots {
    type Permit = ();
    plimsoll_core::decides_at_once!(Req);

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), Infallible> {
        if self.used.fetch_add(1, SeqCst) < self.limit {
            return Verdict::Admit(());
        }
        self.used.fetch_sub(1, SeqCst);
        let rejection = Rejection::new("slots", Kind::Full);
        Verdict::Reject(rejection.with_retry_after(Duration::from_millis(300)))
    }
    fn finish(&self, (): (), outcome: &Outcome) {
        self.used.fetch_sub(1, SeqCst);
        self.outcomes.lock().unwrap().push(outcome.clone());
    }
    fn revoke(&self, (): (), _: Instant, _: Instant) {
        self.used.fetch_sub(1, SeqCst);
    }
}

impl Evictable for Slots {
    fn reset(&self) {}
    fn settles_in(&self, _: Instant) -> Duration {
        Duration::ZERO
    }
}

/// Queues every request until the door is opened, then admits them in order of polling.
#[derive(Debug, Default)]
pub(crate) struct Door {
    state: Mutex<DoorState>,
}

#[derive(Debug, Default)]
struct DoorState {
    open: bool,
    shut_for_good: bool,
    inside: u64,
    abandoned: u64,
    wakers: Vec<Waker>,
}

impl Door {
    pub(crate) fn open(&self) {
        let mut state = self.state.lock().unwrap();
        state.open = true;
        state.wakers.drain(..).for_each(Waker::wake);
    }
    pub(crate) fn shut_for_good(&self) {
        let mut state = self.state.lock().unwrap();
        state.shut_for_good = true;
        state.wakers.drain(..).for_each(Waker::wake);
    }
    pub(crate) fn inside(&self) -> u64 {
        self.state.lock().unwrap().inside
    }
    pub(crate) fn abandoned(&self) -> u64 {
        self.state.lock().unwrap().abandoned
    }
}

impl<Req> Policy<Req> for Door {
    type Permit = ();
    type Wait = ();

    fn admit(&self, _: &mut Req, _: Instant) -> Verdict<(), ()> {
        Verdict::Wait(())
    }
    fn poll_wait(
        &self,
        _: Pin<&mut ()>,
        _: &mut Req,
        _: Instant,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let mut state = self.state.lock().unwrap();
        if state.shut_for_good {
            return Poll::Ready(Err(Rejection::new("door", Kind::Full)));
        }
        if state.open {
            state.inside += 1;
            return Poll::Ready(Ok(()));
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }
    fn abandon(&self, _: Pin<&mut ()>, _: Instant) {
        self.state.lock().unwrap().abandoned += 1;
    }
    fn finish(&self, (): (), _: &Outcome) {
        self.state.lock().unwrap().inside -= 1;
    }
    fn revoke(&self, (): (), _: Instant, _: Instant) {
        self.state.lock().unwrap().inside -= 1;
    }
}

/// Sends one request through a gate of this layer, to its head.
pub(crate) async fn send<P>(
    layer: &GateLayer<P>,
    script: Script,
) -> Result<<Gate<Scripted, P, Http> as tower::Service<KitRequest>>::Response, ScriptedError>
where
    P: Policy<KitRequest> + 'static,
{
    send_request(layer, request(script)).await
}

pub(crate) async fn send_request<P>(
    layer: &GateLayer<P>,
    req: KitRequest,
) -> Result<<Gate<Scripted, P, Http> as tower::Service<KitRequest>>::Response, ScriptedError>
where
    P: Policy<KitRequest> + 'static,
{
    let mut gate = layer.layer(Scripted::default());
    gate.ready().await?.call(req).await
}
