//! Which side a response body waits for.

/// Which side a response body waits for: passed to [`Policy::body_waits`](crate::Policy::body_waits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitsOn {
    /// The head or a frame was handed out, and more follows: the caller has to take it before the
    /// server polls the body again.
    ///
    /// A caller that stops reading leaves the body in this state for as long as the connection
    /// lives. The body is not polled then, so no timer inside it can run.
    Caller,
    /// The body was polled and has no frame yet: the caller took all there was, and the service has
    /// to produce more. An idle event stream is in this state, and a permit that was handed over to
    /// an upgraded socket.
    Service,
}
