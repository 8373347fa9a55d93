//! Requests out of bounds, and the end of a demand.

/// A request for no item (rule 3.9). Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("request must be at least 1 item, got 0")]
pub struct InvalidRequest;

/// The consumer has cancelled: no credit will come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the demand is cancelled")]
pub struct DemandCancelled;
