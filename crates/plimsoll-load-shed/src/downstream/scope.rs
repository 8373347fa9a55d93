//! A context that the calls of a task find by themselves.

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

pub(super) fn current() -> CallContext {
    CONTEXT.try_with(|context| *context).unwrap_or_default()
}

impl CallContext {
    /// Runs `calls` so that [`Downstream`](crate::Downstream) layers find this context, unless the outgoing request has one of its
    /// own. It is a task-local: what `calls` spawns is outside, and has to be given its own scope.
    pub fn scope<F: Future>(self, calls: F) -> TaskLocalFuture<Self, F> {
        CONTEXT.scope(self, calls)
    }
}

/// Lets the calls that a handler makes find the priority and the deadline of its request.
///
/// Put it between the gate and the handler: it takes what the gate's policies left in the extensions. It neither admits nor
/// refuses, and costs a task-local that is set whenever the handler is polled. Calls that the handler makes in tasks it spawns
/// are not in its scope; see [`CallContext::scope`].
///
/// ```
/// # type Body = String;
/// use plimsoll_core::{ByHeader, ClientIp, Deadlines, GateLayer};
/// use plimsoll_load_shed::CallScopeLayer;
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
    /// The layer.
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

/// The service of a [`CallScopeLayer`].
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
        // Called inside, too: services may do a good part of their work before they return a future.
        let future = CONTEXT.sync_scope(context, || self.0.call(req));
        context.scope(future)
    }
}
