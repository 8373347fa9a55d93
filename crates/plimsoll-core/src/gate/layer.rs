//! The layer that puts a gate in front of a service.

use std::{borrow::Cow, fmt, sync::Arc};

use tower_layer::Layer;

use super::{Gate, Observer, Shared};
use crate::{Http, Observe};

/// Puts a policy, or a tuple of up to eight policies, in front of a service.
///
/// A single policy becomes a layer with `policy.into_layer()`. A tuple is faster than one layer for
/// each policy.
///
/// ```
/// use plimsoll_core::{GateLayer, Plain};
/// # let (rate, concurrency) = ((), ());
/// // Answers rejections as HTTP or gRPC:
/// let http = GateLayer::new((rate, concurrency));
/// // In front of any other Tower service, a rejection is an error:
/// let plain = GateLayer::builder(concurrency).protocol(Plain::new()).build();
/// # let _: (GateLayer<((), ())>, GateLayer<(), Plain>) = (http, plain);
/// ```
///
/// # With axum
///
/// ```
/// use axum::{Router, body::Body, routing::get};
/// use http::{Request, StatusCode};
/// use plimsoll_core::{Deadlines, GateLayer};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app: Router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(GateLayer::new(Deadlines::new()));
///
/// let late = Request::get("/").header("grpc-timeout", "0S").body(Body::empty())?;
/// assert_eq!(app.oneshot(late).await?.status(), StatusCode::GATEWAY_TIMEOUT);
/// # Ok(())
/// # }
/// ```
///
/// # Name or box the type
///
/// The type names the policy, and the protocol if it is not [`Http`]: `GateLayer<Deadlines>`. The
/// type of a policy with a closure cannot be written. Return `impl Policy` instead, or box the
/// service together with the body of its response:
///
/// ```
/// use axum::body::Body;
/// use http::{Request, Response};
/// use plimsoll_core::{Deadlines, GateLayer, Policy, When};
/// use tower::{Service, ServiceBuilder, util::BoxCloneSyncService};
///
/// struct Layers {
///     deadlines: GateLayer<Deadlines>,
/// }
///
/// fn uploads() -> GateLayer<impl Policy<Request<Body>> + 'static> {
///     let is_upload = |request: &Request<Body>| request.method() == "PUT";
///     GateLayer::new(When::new(is_upload, Deadlines::new()))
/// }
///
/// type Boxed<E> = BoxCloneSyncService<Request<Body>, Response<Body>, E>;
///
/// fn boxed<S>(inner: S) -> Boxed<S::Error>
/// where
///     S: Service<Request<Body>, Response = Response<Body>, Future: Send>,
///     S: Clone + Send + Sync + 'static,
///     S::Error: Send + Sync + 'static,
/// {
///     BoxCloneSyncService::new(
///         ServiceBuilder::new()
///             .map_response(|response: Response<_>| response.map(Body::new))
///             .layer(uploads())
///             .service(inner),
///     )
/// }
/// ```
///
/// An axum `Router` boxes services and bodies itself.
///
/// # Shared state and cloning
///
/// The state lives in the layer. All services made by [`layer`](Layer::layer) (axum calls it per
/// route and per connection), clones of the layer and clones of its services share one policy, and
/// so one limit. For a limit per route, make one layer per route.
///
/// # Compiler errors
///
/// | stack | error | cure |
/// |---|---|---|
/// | `.layer(policy)` | is a policy, not a layer | `.layer(policy.into_layer())` |
/// | a gate for a service other than HTTP, `.ready()` | method exists, but its trait bounds were not satisfied | `GateLayer::builder(policy).protocol(Plain::new()).build()` |
/// | two `.layer(..)` on axum's `MethodRouter` | type annotations needed, `NewError` | one gate with a tuple of policies, or `ServiceBuilder` |
/// | `option_layer(Some(gate))` | expected `Response<GateBody<..>>`, found `Response<Body>` | an optional policy: `GateLayer::new(Some(policy))` |
/// | `fn key(req: &Request) -> Option<&str>` | one type is more general than the other | return an owned key, or implement [`Key`](crate::Key) |
#[doc(alias("middleware"))]
pub struct GateLayer<P, T = Http> {
    shared: Arc<Shared<P, T>>,
}

impl<P> GateLayer<P> {
    /// A layer that answers rejections with the defaults of [`Http`].
    pub fn new(policy: P) -> Self {
        Self::builder(policy).build()
    }

    /// Starts a layer with another protocol, a name or an observer.
    pub fn builder(policy: P) -> GateBuilder<P> {
        GateBuilder {
            policy,
            protocol: Http::new(),
            observer: Observer::new(),
        }
    }
}

impl<P, T> GateLayer<P, T> {
    /// Returns the policy. Its state can be read and its settings changed at any time.
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

/// Builds a [`GateLayer`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct GateBuilder<P, T = Http> {
    policy: P,
    protocol: T,
    observer: Observer,
}

impl<P, T> GateBuilder<P, T> {
    /// Sets the gate's name in events. `"gate"` by default.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.observer.name = name.into().into();
        self
    }

    /// Sets the protocol, which writes rejections and defines when a call ends.
    pub fn protocol<U>(self, protocol: U) -> GateBuilder<P, U> {
        GateBuilder {
            policy: self.policy,
            protocol,
            observer: self.observer,
        }
    }

    /// Adds an observer of the gate's events. Several observers receive every event.
    pub fn observe(mut self, observer: impl Observe + 'static) -> Self {
        self.observer.add(Box::new(observer));
        self
    }

    /// Builds the layer.
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
