//! The `CircuitBreaker` policy.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use plimsoll_core::{
    InvalidKeyed, Keyed, Missing, Outcome, Policy,
    figures::Figures,
    policy::{Evictable, Interests, Verdict},
};
use tokio::time::Instant;

use crate::{
    CircuitBreakerHandle, CircuitBreakerPermit, common::Common, settings::Settings, shared::Shared,
};

/// A circuit breaker: admits while closed, rejects while open, probes while half-open.
///
/// The [crate](crate) docs describe how it decides.
///
/// # Shared state and cloning
///
/// A breaker is one state. It is not `Clone`, so that it is not duplicated by accident; a layer
/// shares it among its services, and [`handle`](Self::handle) gives access from outside. For one
/// state per key with common settings, see [`per_key`](Self::per_key).
#[doc(alias("half-open", "circuit open", "503"))]
pub struct CircuitBreaker {
    shared: Arc<Shared>,
}

impl CircuitBreaker {
    /// A breaker with the defaults of [`CircuitBreakerBuilder`](crate::CircuitBreakerBuilder).
    pub fn new() -> Self {
        Self::with(Settings {
            backoff: Some(Settings::default_backoff(Settings::DEFAULT.open_for)),
            ..Settings::DEFAULT
        })
    }

    /// Makes a breaker from checked settings.
    pub(crate) fn with(settings: Settings) -> Self {
        Self {
            shared: Shared::new(Arc::new(Common::new(settings))),
        }
    }

    /// Makes this breaker one per key that `key` reads, for up to `capacity` keys at a time.
    ///
    /// Each key has its own state; all keys share settings, counters and handle. `missing` decides
    /// about requests without a key. See [`Keyed`] for keys beyond the capacity.
    ///
    /// One breaker per callee of a client:
    ///
    /// ```
    /// use plimsoll_circuit_breaker::CircuitBreaker;
    /// use plimsoll_core::{Authority, GateLayer, Http, Missing};
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
    /// let breaker = CircuitBreaker::new();
    /// let handle = breaker.handle(); // settings and counters of all keys
    /// let per_callee = breaker.per_key(Authority, Missing::Admit, 1_000)?;
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
    ///
    /// # Errors
    ///
    /// When `capacity` is zero or more than 2^28.
    pub fn per_key<K>(
        self,
        key: K,
        missing: Missing,
        capacity: usize,
    ) -> Result<Keyed<K, Self>, InvalidKeyed> {
        Keyed::new(key, missing, capacity, move || self.cell())
    }

    /// The breaker of another key: its own state, the same settings and counters.
    fn cell(&self) -> Self {
        Self {
            shared: Shared::new(Arc::clone(&self.shared.common)),
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
        self.shared.decide(now)
    }

    #[inline]
    fn finish(&self, permit: CircuitBreakerPermit, outcome: &Outcome) {
        self.shared.finish(permit, outcome);
    }

    /// Releases the place of a probe or of a call of the ramp; other permits hold at most a count.
    #[inline]
    fn revoke(&self, permit: CircuitBreakerPermit, _: Instant, _: Instant) {
        if !permit.stamp().admits() || self.shared.judges_latency() {
            self.shared.release(permit);
        }
    }

    /// The head ends the time that [`slow_call`](crate::CircuitBreakerBuilder::slow_call) bounds.
    #[inline]
    fn answered(&self, permit: &mut CircuitBreakerPermit) {
        if permit.is_watched() {
            *permit = self.shared.head(*permit);
        }
    }

    fn asked_to_wait(&self, permit: &CircuitBreakerPermit, wait: Duration, now: Instant) {
        self.shared.asked_to_wait(*permit, wait, now);
    }

    /// The latency, and with it the report of the head, if `slow_call` was set at construction.
    #[inline]
    fn interests(&self, asked: Interests) -> Interests {
        Interests::NONE.with_latency(asked.latency() && self.shared.judges_latency())
    }
}

/// One breaker per key, under [`Keyed`](plimsoll_core::Keyed).
///
/// A breaker may be evicted when its state no longer matters: closed without failures in its
/// window, or `open_for` after the last failure; open or half-open, without a request for as long
/// again as it was open. A forced breaker is kept.
impl Evictable for CircuitBreaker {
    fn reset(&self) {
        self.shared.evict();
    }

    fn settles_in(&self, now: Instant) -> Duration {
        self.shared.settles_in(now)
    }

    fn overflow(&self) {
        self.shared.set_key(Some("overflow".into()));
    }

    fn assigned(&self, label: &dyn Fn() -> Option<Box<str>>, now: Instant) {
        self.shared.set_key(label());
        self.shared.report_eviction(now);
    }

    fn figures(&self) -> Option<Arc<dyn Figures>> {
        Some(Arc::new(self.handle()))
    }
}
