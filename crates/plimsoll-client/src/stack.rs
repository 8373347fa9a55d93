//! The layers of a client in the recommended order.

use std::time::Duration;

use plimsoll_core::{Gate, GateLayer, Http, protocol::ClientClassifier};
use tower_layer::{Identity, Layer};

use crate::{HedgeLayer, Retry, RetryLayer, timeout::CallTimeout};

/// The layers of a client in the recommended order, around any HTTP or gRPC client.
///
/// | | layer | why here |
/// |---|---|---|
/// | 1 | deadline: [`RetryBuilder::total_timeout`](crate::RetryBuilder::total_timeout) or the request's own | it spans all attempts |
/// | 2 | [retry](RetryLayer), [hedge](Self::hedge) | each attempt asks the policies below |
/// | 3 | [propagation](Self::propagate) | the time left is written for each attempt |
/// | 4 | [throttle](Self::throttle) | counts attempts and not calls, and what it rejects; a rejected attempt waits instead of failing the call |
/// | 5 | [breaker](Self::breaker), one per host | each attempt counts; an open circuit ends the retries |
/// | 6 | [concurrency](Self::concurrency) | the last policy: its slots are held for calls that are sent |
/// | 7 | [timeout](Self::timeout) | the breaker sees a failure, and not a cancelled call |
///
/// 3 to 6 are policies of other crates, fused into one gate; a part that is not set costs nothing.
/// Policies per host take `per_key(Authority, ..)`, or core's `Keyed`.
///
/// ```
/// use std::time::Duration;
/// use plimsoll_circuit_breaker::CircuitBreaker;
/// use plimsoll_client::{ClientStack, RetryLayer};
/// use plimsoll_core::{Authority, Missing};
///
/// let retry = RetryLayer::builder().total_timeout(Duration::from_secs(5)).build()?;
/// let breaker = CircuitBreaker::new().per_key(Authority, Missing::Admit, 1_000)?;
/// let layer = ClientStack::new(retry)
///     .breaker(breaker)
///     .timeout(Duration::from_secs(1))
///     .build();
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientStack<D = (), T = (), B = (), C = (), H = Identity> {
    retry: RetryLayer,
    hedge: H,
    propagate: D,
    throttle: T,
    breaker: B,
    concurrency: C,
    timeout: Option<Duration>,
}

impl ClientStack {
    /// A stack with retries only.
    pub fn new(retry: RetryLayer) -> Self {
        Self {
            retry,
            hedge: Identity::new(),
            propagate: (),
            throttle: (),
            breaker: (),
            concurrency: (),
            timeout: None,
        }
    }
}

impl<D, T, B, C, H> ClientStack<D, T, B, C, H> {
    /// Adds hedges, best with the retries' budget: [`HedgeBuilder::inside`](crate::HedgeBuilder::inside).
    pub fn hedge(self, hedge: HedgeLayer) -> ClientStack<D, T, B, C, HedgeLayer> {
        ClientStack {
            retry: self.retry,
            hedge,
            propagate: self.propagate,
            throttle: self.throttle,
            breaker: self.breaker,
            concurrency: self.concurrency,
            timeout: self.timeout,
        }
    }

    /// Sets the policy that writes priority and deadline to the headers of each attempt.
    pub fn propagate<P>(self, policy: P) -> ClientStack<P, T, B, C, H> {
        ClientStack {
            retry: self.retry,
            hedge: self.hedge,
            propagate: policy,
            throttle: self.throttle,
            breaker: self.breaker,
            concurrency: self.concurrency,
            timeout: self.timeout,
        }
    }

    /// Sets the policy that rejects what the callee would reject.
    pub fn throttle<P>(self, policy: P) -> ClientStack<D, P, B, C, H> {
        ClientStack {
            retry: self.retry,
            hedge: self.hedge,
            propagate: self.propagate,
            throttle: policy,
            breaker: self.breaker,
            concurrency: self.concurrency,
            timeout: self.timeout,
        }
    }

    /// Sets the policy that rejects calls to a host that fails.
    pub fn breaker<P>(self, policy: P) -> ClientStack<D, T, P, C, H> {
        ClientStack {
            retry: self.retry,
            hedge: self.hedge,
            propagate: self.propagate,
            throttle: self.throttle,
            breaker: policy,
            concurrency: self.concurrency,
            timeout: self.timeout,
        }
    }

    /// Sets the policy that bounds calls in flight.
    pub fn concurrency<P>(self, policy: P) -> ClientStack<D, T, B, P, H> {
        ClientStack {
            retry: self.retry,
            hedge: self.hedge,
            propagate: self.propagate,
            throttle: self.throttle,
            breaker: self.breaker,
            concurrency: policy,
            timeout: self.timeout,
        }
    }

    /// Sets the time of each attempt, from its admission to the answer's head.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Makes the layer. Its services share the policies, the budget and the latencies.
    pub fn build(self) -> ClientStackLayer<(D, T, B, C), H> {
        let policies = (
            self.propagate,
            self.throttle,
            self.breaker,
            self.concurrency,
        );
        ClientStackLayer {
            retry: self.retry,
            hedge: self.hedge,
            gate: GateLayer::builder(policies)
                .name("client")
                .protocol(Http::client())
                .build(),
            timeout: self.timeout,
        }
    }
}

/// The layer of a [`ClientStack`]. Clones share everything.
#[derive(Debug)]
pub struct ClientStackLayer<P, H> {
    retry: RetryLayer,
    hedge: H,
    gate: GateLayer<P, Http<ClientClassifier>>,
    timeout: Option<Duration>,
}

impl<P, H: Clone> Clone for ClientStackLayer<P, H> {
    fn clone(&self) -> Self {
        Self {
            retry: self.retry.clone(),
            hedge: self.hedge.clone(),
            gate: self.gate.clone(),
            timeout: self.timeout,
        }
    }
}

impl<S, P, H> Layer<S> for ClientStackLayer<P, H>
where
    H: Layer<Gate<CallTimeout<S>, P, Http<ClientClassifier>>>,
{
    type Service = Retry<H::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let called = CallTimeout::new(inner, self.timeout);
        self.retry.layer(self.hedge.layer(self.gate.layer(called)))
    }
}
