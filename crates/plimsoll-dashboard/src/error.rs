//! Settings of a board that are out of bounds.

use crate::{actions::MAX_ACTIONS, fleet::MAX_PEERS, viewers::MAX_VIEWERS};

/// A setting of a [`Dashboard`](crate::Dashboard) that is out of bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDashboard {
    /// The number of viewers.
    #[error("viewers must be in 1..={MAX_VIEWERS}, got {0}")]
    Viewers(usize),
    /// The number of peers.
    #[error("peers must be at most {MAX_PEERS}, got {0}")]
    Peers(usize),
    /// Two peers have one name, or a name is empty or longer than 200 bytes.
    #[error("peers must have different names of 1 to 200 bytes, got {0:?}")]
    PeerName(String),
    /// The number of actions.
    #[error("actions must be at most {MAX_ACTIONS}, got {0}")]
    Actions(usize),
    /// Two actions of a gate have one name, or a control has no values to choose from.
    #[error("action {name:?} of gate {gate:?} is registered already, or its control has no value")]
    Action {
        /// The gate.
        gate: String,
        /// The name of the action.
        name: String,
    },
    /// There are actions, and no function that authorizes them.
    #[error("actions need `writable(authorize)`")]
    NotWritable,
    /// The operating system has no random bytes for the tokens of a writable board.
    #[error("no random bytes for tokens")]
    Random,
}
