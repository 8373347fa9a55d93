//! The laws that can be checked on any policy from outside.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use http::StatusCode;
use http_body_util::BodyExt as _;
use tower_layer::Layer as _;
use tower_service::Service as _;

use super::{Audited, KitRequest, RejectAll, Script, Scripted, request};
use crate::{Gate, GateLayer, Http, Policy, Rejection};

/// The checks for one policy; see the [module](super).
pub struct Contract<P> {
    make: Box<dyn Fn() -> P>,
    capacity: Option<usize>,
    spent: Box<dyn Fn(&P) -> u64>,
    holds_nothing: bool,
    given_back_at_the_end: bool,
}

type GateOf<P> = Gate<Scripted, P, Http>;

impl<P: Policy<KitRequest> + 'static> Contract<P> {
    /// A contract for the policies that `make` makes. `spent` returns what a policy has handed out:
    /// requests in flight, tokens spent, probes running.
    ///
    /// The checks of laws 2 to 4 compare values of `spent`, so they also check that it counts a
    /// request in flight, unless the policy [holds nothing](Self::holds_nothing).
    pub fn new(make: impl Fn() -> P + 'static, spent: impl Fn(&P) -> u64 + 'static) -> Self {
        Self {
            make: Box::new(make),
            capacity: None,
            spent: Box::new(spent),
            holds_nothing: false,
            given_back_at_the_end: true,
        }
    }

    /// Declares that the policy admits exactly this many requests at one instant while none has
    /// ended.
    #[must_use]
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = Some(capacity);
        self
    }

    /// Declares that the policy hands out nothing: `spent` is 0 at all times, even with a request
    /// in flight.
    #[must_use]
    pub fn holds_nothing(mut self) -> Self {
        self.holds_nothing = true;
        self
    }

    /// Declares that a request's end releases nothing (as with tokens); only a revoked permit does.
    #[must_use]
    pub fn consumes(mut self) -> Self {
        self.given_back_at_the_end = false;
        self
    }

    /// Runs all checks below.
    pub async fn check_all(&self) {
        self.law_01_state_is_shared_across_layer_calls().await;
        self.law_02_the_reader_sees_a_request_in_flight().await;
        self.law_02_every_permit_ends_exactly_once().await;
        self.law_02_abandoned_waits_leave_nothing_behind().await;
        self.law_03_a_rejected_request_has_spent_nothing().await;
        self.law_04_nothing_is_reserved_in_poll_ready().await;
        self.law_05_a_waiting_request_does_not_wake_itself().await;
    }

    /// Checks that services from separate calls of `layer` share one policy.
    ///
    /// # Panics
    ///
    /// If the services do not share the policy.
    pub async fn law_01_state_is_shared_across_layer_calls(&self) {
        let Some(capacity) = self.capacity else {
            return;
        };
        let layer = GateLayer::new((self.make)());
        let mut running = Vec::new();
        for n in 0..capacity {
            let mut call = start(&mut layer.layer(Scripted::default()), Script::Hang).await;
            assert!(
                poll_once(&mut call).is_pending(),
                "law 1: request {n} of {capacity} was rejected"
            );
            running.push(call);
        }
        let inner = Scripted::default();
        let mut one_more = start(&mut layer.layer(inner.clone()), Script::Hang).await;
        _ = poll_once(&mut one_more);
        assert_eq!(
            inner.calls(),
            0,
            "law 1: a service from another `layer` call has a limit of its own"
        );
    }

    /// Checks that `spent`, which the checks of laws 2 to 4 compare, counts a request in flight.
    ///
    /// # Panics
    ///
    /// If `spent` is 0 with a request in flight, or not 0 for a policy that holds nothing.
    pub async fn law_02_the_reader_sees_a_request_in_flight(&self) {
        let layer = GateLayer::new((self.make)());
        let mut running = start(&mut layer.layer(Scripted::default()), Script::Hang).await;
        assert!(
            poll_once(&mut running).is_pending(),
            "law 2: a fresh policy rejected its first request"
        );
        let spent = (self.spent)(layer.policy());
        assert_eq!(
            spent == 0,
            self.holds_nothing,
            "law 2: `spent` is {spent} with a request in flight"
        );
    }

    /// Checks success, failure, errors, panics, cancellation at each await point, and bodies that
    /// are read, dropped or broken.
    ///
    /// # Panics
    ///
    /// If a permit did not end exactly once, or something stayed spent.
    pub async fn law_02_every_permit_ends_exactly_once(&self) {
        for ending in ENDINGS {
            let layer = GateLayer::new(Audited::new((self.make)()));
            ending.run(&mut layer.layer(Scripted::default())).await;
            let audit = layer.policy().audit();
            assert_eq!(
                audit.granted(),
                1,
                "law 2: a fresh policy rejected its first request"
            );
            assert_eq!(
                audit.finished(),
                1,
                "law 2: calls of `finish` after {ending:?}"
            );
            assert_eq!(
                audit.revoked(),
                0,
                "law 2: calls of `revoke` after {ending:?}, though it ran"
            );
            if self.given_back_at_the_end {
                let spent = (self.spent)(layer.policy().get_ref());
                assert_eq!(spent, 0, "law 2: still in flight after {ending:?}");
            }
        }
    }

    /// Checks waits that are dropped before and just after they were granted. Policies that never
    /// queue pass.
    ///
    /// # Panics
    ///
    /// If an abandoned wait keeps something.
    pub async fn law_02_abandoned_waits_leave_nothing_behind(&self) {
        let Some((layer, running)) = self.saturated().await else {
            return;
        };
        let audit = layer.policy().audit();
        let mut gate = layer.layer(Scripted::default());

        let mut gives_up = start(&mut gate, Script::Body).await;
        if poll_once(&mut gives_up).is_ready() {
            return; // The policy rejects instead of queueing.
        }
        let mut granted = start(&mut gate, Script::Body).await;
        assert!(
            poll_once(&mut granted).is_pending(),
            "law 2: a second request was not queued"
        );
        drop(gives_up);
        drop(running); // This grants the remaining wait.
        tokio::task::yield_now().await;
        drop(granted);
        assert_eq!(audit.waiting(), 0, "law 2: waits that never ended");
        assert_eq!(
            audit.outstanding(),
            0,
            "law 2: permits that never ended, including one granted just before the drop"
        );
        if self.given_back_at_the_end {
            let spent = (self.spent)(layer.policy().get_ref());
            assert_eq!(spent, 0, "law 2: kept by an abandoned wait");
        }
    }

    /// Checks that a permit is revoked in full when a later policy rejects.
    ///
    /// # Panics
    ///
    /// If something stays spent.
    pub async fn law_03_a_rejected_request_has_spent_nothing(&self) {
        let layer = GateLayer::new((Audited::new((self.make)()), RejectAll));
        let inner = Scripted::default();
        let before = (self.spent)(layer.policy().0.get_ref());
        for _ in 0..2 * self.capacity.unwrap_or(8) {
            let mut call = start(&mut layer.layer(inner.clone()), Script::Body).await;
            let Poll::Ready(Ok(response)) = poll_once(&mut call) else {
                panic!("law 3: the second policy did not reject at once")
            };
            let rejection = response.extensions().get::<Rejection>();
            assert_eq!(
                rejection.map(Rejection::policy),
                Some("reject-all"),
                "law 3: requests that a later policy rejected used up the first policy's capacity"
            );
        }
        let audit = layer.policy().0.audit();
        assert_eq!(
            audit.revoked(),
            audit.granted(),
            "law 3: permits that were not revoked"
        );
        let spent = (self.spent)(layer.policy().0.get_ref());
        assert_eq!(
            spent, before,
            "law 3: a rejected request has spent something"
        );
        assert_eq!(
            inner.calls(),
            0,
            "law 3: a rejected request reached the service"
        );
    }

    /// Checks that handles that are readied and then dropped or parked hold nothing.
    ///
    /// # Panics
    ///
    /// If `poll_ready` spends something, or the inner service is called without being ready.
    pub async fn law_04_nothing_is_reserved_in_poll_ready(&self) {
        let layer = GateLayer::new((self.make)());
        let inner = Scripted::default();
        let mut parked = Vec::new();
        for _ in 0..self.capacity.unwrap_or(8) + 8 {
            let mut gate = layer.layer(inner.clone());
            ready(&mut gate).await;
            parked.push(gate);
        }
        let spent = (self.spent)(layer.policy());
        assert_eq!(spent, 0, "law 4: spent by `poll_ready`");
        let mut call = start(&mut layer.layer(inner.clone()), Script::Body).await;
        assert!(
            poll_once(&mut call).is_ready(),
            "law 4: parked handles block other requests"
        );
        assert!(
            !inner.was_called_unready(),
            "law 4: the service was called without being ready"
        );
        drop((call, parked));
        assert_eq!(
            inner.reserved(),
            0,
            "law 4: places in the inner service that were not released"
        );
    }

    /// Checks that a queued request is woken only when its state changes.
    ///
    /// # Panics
    ///
    /// If polling a queued request wakes it, or a granted request is not woken.
    pub async fn law_05_a_waiting_request_does_not_wake_itself(&self) {
        let Some((layer, running)) = self.saturated().await else {
            return;
        };
        let mut gate = layer.layer(Scripted::default());
        let mut waiting = start(&mut gate, Script::Body).await;
        let wakes = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        for _ in 0..8 {
            if waiting.as_mut().poll(&mut cx).is_ready() {
                return; // The policy rejects instead of queueing.
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(
            wakes.0.load(SeqCst),
            0,
            "law 5: a queued request wakes itself"
        );
        drop(running);
        tokio::task::yield_now().await;
        assert!(
            wakes.0.load(SeqCst) > 0,
            "law 5: a queued request was not woken when it was granted"
        );
    }

    /// A layer whose capacity is used up, with the requests that use it.
    async fn saturated(&self) -> Option<(GateLayer<Audited<P>>, Vec<CallOf<Audited<P>>>)> {
        let capacity = self.capacity?;
        let layer = GateLayer::new(Audited::new((self.make)()));
        let mut running = Vec::new();
        for _ in 0..capacity {
            let mut call = start(&mut layer.layer(Scripted::default()), Script::Hang).await;
            assert!(
                poll_once(&mut call).is_pending(),
                "the policy rejects requests below the stated capacity"
            );
            running.push(call);
        }
        Some((layer, running))
    }
}

/// How a request ends.
#[derive(Debug, Clone)]
enum Ending {
    /// The response is awaited and its body read to the end (or to its error).
    Read(Script),
    /// `HEAD`: servers send no body and never read it.
    Head,
    /// The response's body is dropped after this many frames.
    DropBody { after: usize },
    /// The future is dropped before its first poll.
    DropUnpolled,
    /// The future is polled, and dropped before the head.
    DropPending,
    /// A panic of the service passes through the future.
    Panic(Script),
}

const ENDINGS: [Ending; 15] = [
    Ending::Read(Script::Status(StatusCode::NO_CONTENT)),
    Ending::Read(Script::Status(StatusCode::NOT_FOUND)),
    Ending::Read(Script::Status(StatusCode::SERVICE_UNAVAILABLE)),
    Ending::Read(Script::Body),
    Ending::Read(Script::Trailers("0")),
    Ending::Read(Script::Trailers("13")),
    Ending::Read(Script::BrokenBody),
    Ending::Read(Script::Error),
    Ending::Head,
    Ending::DropBody { after: 0 },
    Ending::DropBody { after: 1 },
    Ending::DropUnpolled,
    Ending::DropPending,
    Ending::Panic(Script::Panic),
    Ending::Panic(Script::PanicInCall),
];

impl Ending {
    async fn run<P: Policy<KitRequest> + 'static>(&self, gate: &mut GateOf<P>) {
        match self {
            Self::Read(script) => {
                if let Ok(response) = start(gate, script.clone()).await.await {
                    _ = response.into_body().collect().await;
                }
            }
            Self::Head => {
                ready(gate).await;
                let mut head = request(Script::Body);
                *head.method_mut() = http::Method::HEAD;
                _ = gate.call(head).await;
            }
            Self::DropBody { after } => {
                if let Ok(response) = start(gate, Script::EndlessBody).await.await {
                    let mut body = response.into_body();
                    for _ in 0..*after {
                        _ = body.frame().await;
                    }
                }
            }
            Self::DropUnpolled => drop(start(gate, Script::Hang).await),
            Self::DropPending => {
                let mut call = start(gate, Script::Hang).await;
                assert!(poll_once(&mut call).is_pending(), "the script hangs");
            }
            Self::Panic(script) => {
                ready(gate).await;
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    let mut call = pin!(gate.call(request(script.clone())));
                    _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                }));
                assert!(panicked.is_err(), "the script panics");
            }
        }
    }
}

type CallOf<P> = Pin<Box<<GateOf<P> as tower_service::Service<KitRequest>>::Future>>;

async fn ready<P: Policy<KitRequest> + 'static>(gate: &mut GateOf<P>) {
    poll_fn(|cx| gate.poll_ready(cx))
        .await
        .expect("the scripted service is always ready");
}

async fn start<P: Policy<KitRequest> + 'static>(gate: &mut GateOf<P>, script: Script) -> CallOf<P> {
    ready(gate).await;
    Box::pin(gate.call(request(script)))
}

fn poll_once<F: Future>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}
