//! Priority and deadline for outgoing calls.

use http::Request;
use plimsoll_core::{Deadline, Priority};

/// The priority and the deadline of a request, for the calls that its handler makes.
///
/// The policies [`ByHeader`](plimsoll_core::ByHeader) and [`Deadlines`](plimsoll_core::Deadlines)
/// of a server's stack store both in the request's extensions. A handler copies them by hand, which
/// also works in spawned tasks:
///
/// ```
/// use plimsoll_client::CallContext;
/// # let incoming = http::Request::new(());
/// let context = CallContext::of(&incoming);
/// // ... and in whatever task makes the call, whose client has a `Downstream` layer:
/// let mut outgoing = http::Request::get("http://quotes/latest").body(())?;
/// context.propagate(&mut outgoing);
/// # Ok::<(), http::Error>(())
/// ```
///
/// With the feature `call-scope`, [`CallScopeLayer`](crate::CallScopeLayer) does the same for all
/// calls made in the handler's own task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallContext {
    /// The importance of the request, if it is stated.
    pub priority: Option<Priority>,
    /// When the answer is needed at the latest, if it is stated.
    pub deadline: Option<Deadline>,
}

impl CallContext {
    /// Reads the extensions of a request.
    pub fn of<B>(req: &Request<B>) -> Self {
        Self {
            priority: req.extensions().get().copied(),
            deadline: req.extensions().get().copied(),
        }
    }

    /// Stores the context in the extensions of an outgoing request, for a
    /// [`Downstream`](crate::Downstream) layer. Values that are already there stay, except a later
    /// deadline.
    pub fn propagate<B>(self, req: &mut Request<B>) {
        let both = Self::of(req).or(self);
        let extensions = req.extensions_mut();
        if let Some(priority) = both.priority {
            extensions.insert(priority);
        }
        if let Some(deadline) = both.deadline {
            extensions.insert(deadline);
        }
    }

    /// The priority of `self`, or of `other` if `self` has none, and the earlier deadline.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            priority: self.priority.or(other.priority),
            deadline: [self.deadline, other.deadline].into_iter().flatten().min(),
        }
    }

    #[cfg(not(feature = "call-scope"))]
    pub(super) fn current() -> Self {
        Self::default()
    }
}
