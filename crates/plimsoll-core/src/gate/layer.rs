//! The layer that puts a gate in front of a service.

use std::{borrow::Cow, fmt, sync::Arc};

use tower_layer::Layer;

use super::{Gate, Observer, Shared};
use crate::{Http, Observe};

/// Puts a policy, or a tuple of up to eight, in front of a service.
///
/// ```
/// use plimsoll_core::{GateLayer, Plain};
/// # let (rate, concurrency) = ((), ());
/// // Answers refusals as HTTP or gRPC:
/// let http = GateLayer::new((rate, concurrency));
/// // In front of any other Tower service, a refusal is an error:
/// let plain = GateLayer::builder(concurrency).protocol(Plain::new()).build();
/// # let _: (GateLayer<((), ())>, GateLayer<(), Plain>) = (http, plain);
/// ```
///
/// # Shared state and cloning
///
/// The state lives in the layer. Calling [`layer`](Layer::layer) again, as axum does per route and per connection,
/// and cloning the layer or its services, all share one policy and so one limit. For a limit per route make a
/// layer per route.
pub struct GateLayer<P, T = Http> {
    shared: Arc<Shared<P, T>>,
}

impl<P> GateLayer<P> {
    /// A layer that answers refusals as [`Http`] does, with its defaults.
    pub fn new(policy: P) -> Self {
        Self::builder(policy).build()
    }

    /// A layer with another protocol or an observer.
    pub fn builder(policy: P) -> GateBuilder<P> {
        GateBuilder {
            policy,
            protocol: Http::new(),
            observer: Observer::new(),
        }
    }
}

impl<P, T> GateLayer<P, T> {
    /// The policy: read its state or change its settings through it, at any time.
    pub fn policy(&self) -> &P {
        &self.shared.policy
    }
}

impl<P, T> Clone for GateLayer<P, T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, P, T> Layer<S> for GateLayer<P, T> {
    type Service = Gate<S, P, T>;

    fn layer(&self, inner: S) -> Self::Service {
        Gate::new(inner, Arc::clone(&self.shared))
    }
}

impl<P: fmt::Debug, T> fmt::Debug for GateLayer<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateLayer")
            .field("policy", &self.shared.policy)
            .finish_non_exhaustive()
    }
}

/// The parts of a [`GateLayer`] before it is shared.
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct GateBuilder<P, T = Http> {
    policy: P,
    protocol: T,
    observer: Observer,
}

impl<P, T> GateBuilder<P, T> {
    /// Names the gate for its observers. `"gate"` by default.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.observer.name = name.into();
        self
    }

    /// Speaks `protocol`: how a refusal is said, and when a call is over.
    pub fn protocol<U>(self, protocol: U) -> GateBuilder<P, U> {
        GateBuilder {
            policy: self.policy,
            protocol,
            observer: self.observer,
        }
    }

    /// Reports to `observer` what the gate does. Called again, it adds another observer.
    pub fn observe(mut self, observer: impl Observe + 'static) -> Self {
        self.observer.add(Box::new(observer));
        self
    }

    /// The layer.
    pub fn build(self) -> GateLayer<P, T> {
        let Self {
            policy,
            protocol,
            observer,
        } = self;
        GateLayer {
            shared: Arc::new(Shared {
                policy,
                protocol,
                observer,
            }),
        }
    }
}
