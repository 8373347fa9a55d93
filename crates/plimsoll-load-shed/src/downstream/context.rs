//! What a call is made for.

use http::Request;
use plimsoll_core::{Deadline, Priority};

/// The priority and the deadline of the request that is being served, for the calls that are made on its behalf.
///
/// A server's stack leaves both in the request's extensions: [`ByHeader`](plimsoll_core::ByHeader) and
/// [`Deadlines`](plimsoll_core::Deadlines), as policies. From there a handler takes them along by hand, which also works where
/// it spawns tasks:
///
/// ```
/// use plimsoll_load_shed::CallContext;
/// # let incoming = http::Request::new(());
/// let context = CallContext::of(&incoming);
/// // ... and in whatever task makes the call, whose client has a `Downstream` layer:
/// let mut outgoing = http::Request::get("http://quotes/latest").body(())?;
/// context.pass_on(&mut outgoing);
/// # Ok::<(), http::Error>(())
/// ```
///
/// With the feature `call-scope`, [`CallScopeLayer`](crate::CallScopeLayer) does that for all calls made in the
/// handler's own task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallContext {
    /// How important it is, if anybody said.
    pub priority: Option<Priority>,
    /// Until when the answer is wanted, if anybody said.
    pub deadline: Option<Deadline>,
}

impl CallContext {
    /// What is in the extensions of this request.
    pub fn of<B>(req: &Request<B>) -> Self {
        Self {
            priority: req.extensions().get().copied(),
            deadline: req.extensions().get().copied(),
        }
    }

    /// Leaves it in the extensions of an outgoing request, for a [`Downstream`](crate::Downstream) layer. What is there
    /// already stays, but for a later deadline.
    pub fn pass_on<B>(self, req: &mut Request<B>) {
        let both = Self::of(req).or(self);
        let extensions = req.extensions_mut();
        if let Some(priority) = both.priority {
            extensions.insert(priority);
        }
        if let Some(deadline) = both.deadline {
            extensions.insert(deadline);
        }
    }

    /// This one's priority, or else the other's, and the earlier deadline.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            priority: self.priority.or(other.priority),
            deadline: [self.deadline, other.deadline].into_iter().flatten().min(),
        }
    }

    /// That of the scope in which this is called, if there is one; see [`CallScopeLayer`](crate::CallScopeLayer).
    #[cfg(feature = "call-scope")]
    pub fn current() -> Self {
        super::scope::current()
    }

    #[cfg(not(feature = "call-scope"))]
    pub(super) fn current() -> Self {
        Self::default()
    }
}
