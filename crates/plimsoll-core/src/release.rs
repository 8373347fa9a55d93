//! When a permit ends.

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

/// When the permit of an HTTP call ends. The latency is measured to the head in both cases.
///
/// Set for a layer with [`Http::release`](crate::Http::release), or by a handler for one response
/// through the response's extensions. The handler's value takes precedence.
#[doc(alias("server-sent events", "SSE"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Release {
    /// At the end of the response body: last frame, trailers, error or drop. A download or a gRPC
    /// stream occupies the server until then.
    #[default]
    AtEnd,
    /// At the head of the response. For server-sent events and long polls.
    AtHead,
}

/// Hands a permit over to the owner of the connection after an HTTP upgrade.
///
/// The handler makes a pair, puts the `Handover` into the extensions of its response, and keeps the
/// [`Claim`] as long as the socket lives. Every gate on the response's way puts its permit there
/// instead of into the (empty) body.
///
/// ```
/// use plimsoll_core::Handover;
/// let (handover, claim) = Handover::pair();
/// let mut response = http::Response::new(());
/// *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
/// response.extensions_mut().insert(handover);
/// // ... and in the task that owns the socket:
/// drop(claim); // the socket is closed: the permits end here
/// ```
#[doc(alias("websocket", "upgrade"))]
#[derive(Clone)]
pub struct Handover(Arc<Mutex<Slot>>);

/// Keeps handed-over permits. Dropping it ends them with the class of their response.
#[must_use = "dropping the claim ends the permits"]
pub struct Claim(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    closed: bool,
    permits: Vec<Box<dyn Any + Send>>,
}

impl Handover {
    /// A place for permits, and the claim on them.
    pub fn pair() -> (Self, Claim) {
        let slot = Arc::new(Mutex::new(Slot::default()));
        (Self(Arc::clone(&slot)), Claim(slot))
    }

    /// Keeps a permit until the claim is dropped. If the claim is already dropped, the permit ends
    /// now.
    pub(crate) fn put(&self, permit: Box<dyn Any + Send>) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.closed {
            drop(slot); // Before the permit, whose end runs the policy's code.
            drop(permit);
        } else {
            slot.permits.push(permit);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.closed = true;
        let permits = std::mem::take(&mut slot.permits);
        drop(slot);
        drop(permits);
    }
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handover")
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claim")
    }
}
