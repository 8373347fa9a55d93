//! The `CircuitBreaker` policy.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{
    Class, Outcome, Policy,
    policy::{Cell, Interests, Verdict},
};
use tokio::time::Instant;

use crate::{
    CircuitBreakerBuilder, CircuitBreakerHandle, State, common::Common, settings::Settings,
    shared::Shared, state::Stamp,
};

/// A circuit breaker: admits while closed, rejects while open, probes while half-open.
///
/// The [crate](crate) docs describe how it decides.
///
/// # Shared state and cloning
///
/// A breaker is one state. It is not `Clone`, so that it is not duplicated by accident; a layer
/// shares it among its services, and [`handle`](Self::handle) gives access from outside. For one
/// state per key with common settings, see [`sibling`](Self::sibling).
#[doc(alias("half-open", "circuit open", "503"))]
pub struct CircuitBreaker {
    shared: Arc<Shared>,
}

/// The permit of a [`CircuitBreaker`]: the state and the generation at admission, and the number of
/// a probe.
///
/// One word, since it is stored with every request: the ticket in the highest 16 bits, the stamp
/// below. That leaves 45 bits for the generation, which grows by one per state transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreakerPermit(u64);

impl CircuitBreakerPermit {
    const STAMP_BITS: u32 = u64::BITS - u16::BITS;

    #[inline]
    pub(crate) const fn new(stamp: Stamp, ticket: u16) -> Self {
        Self((ticket as u64) << Self::STAMP_BITS | stamp.0)
    }

    #[inline]
    pub(crate) const fn stamp(self) -> Stamp {
        Stamp(self.0 & ((1 << Self::STAMP_BITS) - 1))
    }

    pub(crate) const fn ticket(self) -> u16 {
        (self.0 >> Self::STAMP_BITS) as u16
    }

    /// Whether the request is a probe.
    pub fn is_probe(&self) -> bool {
        self.stamp().state() == State::HalfOpen
    }

    /// The generation at admission. A result that arrives in another generation is not counted.
    pub const fn generation(&self) -> u64 {
        self.stamp().generation()
    }
}

impl CircuitBreaker {
    /// A breaker with the defaults of [`CircuitBreakerBuilder`].
    pub fn new() -> Self {
        Self::with(Settings::DEFAULT)
    }

    /// A builder for a breaker with other settings.
    pub const fn builder() -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new()
    }

    /// Makes a breaker from checked settings.
    pub(crate) fn with(settings: Settings) -> Self {
        let common = Arc::new(Common::new(settings));
        Self {
            shared: Arc::new(Shared::new(common, settings.window)),
        }
    }

    /// Another breaker with its own state and the same settings. A setting changed through the
    /// handle of one changes for all, and their counters add up.
    ///
    /// One breaker per callee of a client:
    ///
    /// ```
    /// use plimsoll_circuit_breaker::CircuitBreaker;
    /// use plimsoll_core::{Authority, GateLayer, Http, Keyed, Missing};
    /// # use tower::{Layer, ServiceExt, service_fn};
    /// # use http::{Request, Response};
    /// # use http_body_util::Full;
    /// # async fn call(req: Request<()>) -> Result<Response<Full<bytes::Bytes>>, http::Error> {
    /// #     let bad = req.uri().host() == Some("bad.example");
    /// #     Response::builder().status(if bad { 500 } else { 200 }).body(Full::default())
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    ///
    /// let first = CircuitBreaker::new();
    /// let handle = first.handle(); // settings and counters of all
    /// let per_callee = Keyed::new(Authority, Missing::Admit, 1_000, move || first.sibling())?;
    /// let layer = GateLayer::builder(per_callee).protocol(Http::client()).build();
    /// let client = layer.layer(service_fn(call));
    ///
    /// let get = async |uri| client.clone().oneshot(Request::get(uri).body(()).unwrap()).await;
    /// for _ in 0..20 {
    ///     assert_eq!(get("https://bad.example/").await?.status(), 500);
    /// }
    /// assert_eq!(get("https://bad.example/").await?.status(), 503); // open
    /// assert_eq!(get("https://good.example/").await?.status(), 200);
    /// assert_eq!((handle.opened(), handle.rejected()), (1, 1));
    /// # Ok(()) }
    /// ```
    ///
    /// With [`Missing::Admit`](plimsoll_core::Missing) a request whose callee is unknown has no
    /// breaker, and is counted in [`KeyedHandle::missing`](plimsoll_core::KeyedHandle::missing).
    /// Avoid [`Missing::Share`](plimsoll_core::Missing): all such requests would share one breaker,
    /// and one bad callee would stop the others.
    ///
    /// Key by the [`Authority`](plimsoll_core::Authority) of the URI and not by the `Host` header:
    /// HTTP clients add `Host` below the gate, and HTTP/2 has none.
    pub fn sibling(&self) -> Self {
        let common = Arc::clone(&self.shared.common);
        let window = common.settings().window;
        Self {
            shared: Arc::new(Shared::new(common, window)),
        }
    }

    /// A handle that reads the state, changes settings, and forces the breaker open or closed. It
    /// stays valid while it is kept.
    pub fn handle(&self) -> CircuitBreakerHandle {
        CircuitBreakerHandle::new(Arc::clone(&self.shared))
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp = self.shared.stamp();
        f.debug_struct("CircuitBreaker")
            .field("state", &stamp.state())
            .field("generation", &stamp.generation())
            .finish_non_exhaustive()
    }
}

impl<Req> Policy<Req> for CircuitBreaker {
    type Permit = CircuitBreakerPermit;
    plimsoll_core::decides_at_once!(Req);

    #[inline]
    fn admit(&self, _: &mut Req, now: Instant) -> Verdict<CircuitBreakerPermit, Infallible> {
        let stamp = self.shared.stamp();
        if stamp.admits() {
            Verdict::Admit(CircuitBreakerPermit::new(stamp, 0))
        } else {
            self.shared.ask(now)
        }
    }

    #[inline]
    fn finish(&self, permit: CircuitBreakerPermit, outcome: &Outcome) {
        // Performance: the common end first: a success while closed, with nothing to write
        // (`instructions`, `circuit-breaker@accept`).
        let usual = outcome.class == Class::Success && self.shared.is_healthy(permit);
        if !usual || self.shared.common.judges_latency() {
            self.shared.finish(permit, outcome);
        }
    }

    /// Releases the place of a probe; other permits hold nothing.
    #[inline]
    fn revoke(&self, permit: CircuitBreakerPermit, _: Instant, _: Instant) {
        if !permit.stamp().admits() {
            self.shared.release(permit);
        }
    }

    /// The latency while `slow_call` is set.
    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        Interests::NONE.with_latency(asked.latency() && self.shared.common.judges_latency())
    }
}

/// One breaker per key, under [`Keyed`](plimsoll_core::Keyed).
///
/// A breaker may be evicted when its state no longer matters: closed without failures in its
/// window, or `open_for` after the last failure; open or half-open, without a request for as long
/// again as it was open. A forced breaker is kept.
impl Cell for CircuitBreaker {
    fn reset(&self) {
        self.shared.force(State::Closed);
    }

    fn settles_in(&self, now: Instant) -> Duration {
        self.shared.settles_in(now)
    }
}
