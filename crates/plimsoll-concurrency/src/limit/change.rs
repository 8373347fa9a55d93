//! Callbacks for changes of a limit.

use plimsoll_core::support::Callbacks;

use crate::LimitReason;

/// A change of a limit, as passed to callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitChange {
    /// The limit before.
    pub from: usize,
    /// The limit now.
    pub to: usize,
    /// Why the limit changed.
    pub reason: LimitReason,
}

/// The callbacks of a limit.
pub(crate) type ChangeCallbacks = Callbacks<dyn Fn(&LimitChange) + Send + Sync>;
