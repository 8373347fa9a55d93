//! Which side a response body waits for.

/// The side that a response body waits for, passed to
/// [`Policy::body_waits`](crate::Policy::body_waits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitsOn {
    /// The head or a frame was handed out, and more follows. The caller must read it before the
    /// server polls the body again.
    ///
    /// A caller that stops reading leaves the body in this state for as long as the connection
    /// lives. The body is not polled then, so no timer inside it can run.
    Caller,
    /// The body was polled and has no frame yet. The caller has read everything, and the service
    /// has to produce more. Idle event streams are in this state, and permits handed over to an
    /// upgraded socket.
    Service,
}
