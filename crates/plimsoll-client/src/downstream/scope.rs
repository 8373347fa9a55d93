//! A task-local context for the calls of a handler.

use std::{
    future::Future,
    task::{Context, Poll},
};

use http::Request;
use tokio::task::futures::TaskLocalFuture;
use tower_layer::Layer;
use tower_service::Service;

use super::CallContext;

tokio::task_local! {
    static CONTEXT: CallContext;
}

impl CallContext {
    /// The context of the current scope, empty outside of one; see [`CallScopeLayer`].
    pub fn current() -> Self {
        CONTEXT.try_with(|context| *context).unwrap_or_default()
    }

    /// Runs `calls` with this context for all [`Downstream`](crate::Downstream) layers in it; the
    /// extensions of an outgoing request take precedence. The context is a task-local: a task that
    /// `calls` spawns needs its own scope.
    pub fn scope<F: Future>(self, calls: F) -> TaskLocalFuture<Self, F> {
        CONTEXT.scope(self, calls)
    }
}

/// Gives the calls that a handler makes the priority and the deadline of its request.
///
/// Position: between the gate and the handler, since it reads what the gate's policies stored in
/// the extensions. It admits and rejects nothing, and costs one task-local per poll of the handler.
/// Calls in spawned tasks are outside its scope; see [`CallContext::scope`].
///
/// ```
/// # type Body = String;
/// use plimsoll_core::{ByHeader, ClientIp, Deadlines, GateLayer};
/// use plimsoll_client::CallScopeLayer;
/// use tower::ServiceBuilder;
///
/// # let shed = plimsoll_load_shed::LoadShed::new(|| 0.0);
/// let stack = ServiceBuilder::new()
///     .layer(GateLayer::new((
///         Deadlines::propagated(),
///         ByHeader::untrusted(ClientIp::peer()),
///         shed,
///     )))
///     .layer(CallScopeLayer::new());
/// # let _ = stack;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CallScopeLayer(());

impl CallScopeLayer {
    /// Makes the layer.
    pub const fn new() -> Self {
        Self(())
    }
}

impl<S> Layer<S> for CallScopeLayer {
    type Service = CallScope<S>;

    fn layer(&self, inner: S) -> CallScope<S> {
        CallScope(inner)
    }
}

/// The service made by a [`CallScopeLayer`].
#[derive(Debug, Clone)]
pub struct CallScope<S>(S);

impl<S, B> Service<Request<B>> for CallScope<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TaskLocalFuture<CallContext, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let context = CallContext::of(&req);
        // `call` runs inside the scope, too: a service may make calls before it returns its future.
        let future = CONTEXT.sync_scope(context, || self.0.call(req));
        context.scope(future)
    }
}
